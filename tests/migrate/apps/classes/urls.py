from django.urls import include, path, re_path, register_converter
from django.views.generic import RedirectView, TemplateView

from classes.api import views


class Year:
    regex = "[0-9]{4}"

    def to_python(self, v):
        return int(v)

    def to_url(self, v):
        return str(v)


register_converter(Year, "yyyy")
urlpatterns = [
    path("api/", include("classes.api.urls", namespace="api")),
    path("old/<int:pk>/", RedirectView.as_view(pattern_name="api:user")),
    path("y/<yyyy:year>/", views.user),
    re_path(r"^proxy/(?P<path>.*)$", views.ProxyView.as_view()),
    re_path(r"^(?P<lang>en|de)/about$", TemplateView.as_view(template_name="x.html")),
]
