from django.urls import include, path

from . import views

app_name = "api"
urlpatterns = [
    path("users/<int:pk>", views.user, name="user"),
    path("users/<int:pk>/home", views.Home.as_view()),
    path("admin/<slug:s>", views.admin),
    path("v2/", include([path("orders/<uuid:id>/", views.order), path("orders/", views.orders)])),
]
