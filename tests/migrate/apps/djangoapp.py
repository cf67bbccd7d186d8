"""A Django gateway in one file."""

import django
import requests
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import include, path, re_path
from django.views import View

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="tests", ALLOWED_HOSTS=["*"], ALLOWED_KEYS=["one"])
django.setup()


def user(request, pk):
    if request.META.get("HTTP_X_API_KEY") not in settings.ALLOWED_KEYS:
        return JsonResponse({"error": "key"}, status=401)
    answer = requests.get(f"http://users.internal/users/{pk}")
    return HttpResponse(answer.content, status=answer.status_code)


class Report(View):
    def get(self, request, year):
        return JsonResponse({"year": year})

    def post(self, request, year):
        return HttpResponse(status=201)


def article(request, **named):
    return JsonResponse(named)


urlpatterns = [
    path("users/<int:pk>/", user),
    path("api/", include([path("reports/<slug:year>", Report.as_view())])),
    re_path(r"^articles/(?P<year>[0-9]{4})/(?P<slug>[\w-]+)/$", article),
    re_path(r"^odd/(a|b)x?$", article),
]
application = get_wsgi_application()
