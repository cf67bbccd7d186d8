from django.http import JsonResponse


class ApiKey:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path.startswith("/api") and request.headers.get("X-Api-Key") != "k":
            return JsonResponse({"error": "key"}, status=401)
        return self.get_response(request)


def timing(get_response):
    def inner(request):
        return get_response(request)

    return inner
