import os

SECRET_KEY = "x"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "classes.urls"
USERS_SERVICE = os.environ.get("USERS_SERVICE", "http://users:9001")
SERVICES = {"orders": {"url": "http://orders:9002"}}
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "classes.middleware.ApiKey",
    "classes.middleware.timing",
]
WSGI_APPLICATION = "classes.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
