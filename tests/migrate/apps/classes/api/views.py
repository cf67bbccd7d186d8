import requests
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods


class Gateway:
    def __init__(self, base):
        self.base = base
        self.session = requests.Session()

    def forward(self, request, path):
        r = self.session.request(
            request.method,
            f"{self.base}/{path}",
            params=request.GET,
            data=request.body,
            headers={"Accept": request.headers.get("Accept", "*/*")},
            timeout=5,
        )
        return HttpResponse(r.content, status=r.status_code, content_type=r.headers.get("Content-Type"))


users = Gateway(settings.USERS_SERVICE)


@require_GET
def user(request, pk):
    return users.forward(request, f"v1/users/{pk}")


@login_required
def admin(request, s):
    return HttpResponse(requests.get(f"{settings.USERS_SERVICE}/admin/{s}").content)


@cache_page(60)
def order(request, id):
    r = requests.get(settings.SERVICES["orders"]["url"] + "/orders/" + str(id))
    return JsonResponse(r.json(), status=r.status_code, safe=False)


@csrf_exempt
@require_http_methods(["POST"])
def orders(request):
    r = requests.post(
        "%s/orders" % settings.SERVICES["orders"]["url"],
        data=request.body,
        headers={"Content-Type": "application/json"},
    )
    return HttpResponse(r.content, status=r.status_code)


@method_decorator(login_required, name="dispatch")
class Home(View):
    def get(self, request, pk):
        u = requests.get("{}/u/{}".format(settings.USERS_SERVICE, pk)).json()
        o = requests.get(f"http://orders:9002/o", params={"user": pk}).json()
        return JsonResponse({"user": u, "orders": o})


class ProxyView(View):
    def dispatch(self, request, path):
        r = requests.request(request.method, "http://legacy:80/" + path, data=request.body, stream=True)
        return StreamingHttpResponse(r.iter_content(8192), status=r.status_code)
