import os


class Config:
    USERS_URL = os.environ.get("USERS_URL", "http://users:9001")
    ORDERS_URL = "http://orders:9002/base"
    API_KEYS = {"a", "b"}
    RATELIMIT_DEFAULT = "200 per hour"
    INTERNAL_TOKEN = "s3cret"
