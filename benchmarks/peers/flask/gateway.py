"""The Flask gateway of the experiment: what a team writes before it looks for a gateway.

Tuned as requests' documentation says ("Advanced usage", session objects): one pooled keep-alive session a
thread, so that a request costs no new connection.
"""

import os
import threading

import requests
from flask import Flask, Response, request

UPSTREAM = os.environ["UPSTREAM"]
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

app = Flask(__name__)


class Local(threading.local):
    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.headers.clear()


local = Local()


@app.route("/", defaults={"rest": ""}, methods=METHODS)
@app.route("/<path:rest>", methods=METHODS)
def forward(rest: str) -> Response:
    headers = {name: value for name, value in request.headers if name.lower() not in HOP_BY_HOP}
    headers["X-Forwarded-For"] = request.remote_addr or ""
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-Host"] = request.host
    answer = local.session.request(
        request.method,
        UPSTREAM + request.full_path.rstrip("?"),
        headers=headers,
        data=request.get_data(),
        allow_redirects=False,
        timeout=30,
    )
    kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
    return Response(answer.content, answer.status_code, kept)
