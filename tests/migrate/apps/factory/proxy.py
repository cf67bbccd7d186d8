from flask import Response, current_app, request

from .ext import http

HOP = {"connection", "transfer-encoding", "content-encoding", "content-length"}


def forward(base, path, **extra):
    headers = {k: v for k, v in request.headers if k.lower() != "host"}
    headers.update(extra)
    resp = http.request(
        method=request.method,
        url=f"{base}/{path}",
        headers=headers,
        data=request.get_data(),
        params=request.args,
        allow_redirects=False,
        timeout=10,
    )
    headers = [(n, v) for n, v in resp.raw.headers.items() if n.lower() not in HOP]
    return Response(resp.content, resp.status_code, headers)


class UsersClient:
    def __init__(self):
        self.base = current_app.config["USERS_URL"]

    def get(self, id):
        return http.get(f"{self.base}/v1/users/{id}")
