"""The shop's gateway as its team wrote it: keys, a limit, forwarding, merging, and a quote of its own.

docs/leaving-flask.md moves it route by route.
"""

import os
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any

import requests
from flask import Flask, Response, abort, jsonify, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from examples.shop import flask_view

USERS = os.environ.get("USERS_URL", "http://127.0.0.1:9001")
ORDERS = os.environ.get("ORDERS_URL", "http://127.0.0.1:9001")
KEYS = {"094315af381a6d51"}
"""The first digits of each key's SHA-256."""

app = Flask(__name__, static_folder=None)
limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
session = requests.Session()


def require_key(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("X-API-Key", "")
        if sha256(key.encode()).hexdigest()[:16] not in KEYS:
            abort(401)
        return view(*args, **kwargs)

    return checked


@app.get("/users/<int:id>")
@require_key
def user(id: int) -> Response:
    answer = session.get(f"{USERS}/v1/users/{id}", timeout=2)
    return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])


@app.route("/orders/<path:rest>", methods=["GET", "POST"])
@limiter.limit("100 per minute")
def orders(rest: str) -> Response:
    kind = {"Content-Type": request.headers.get("Content-Type", "")}
    answer = session.request(
        request.method,
        f"{ORDERS}/orders/{rest}",
        params=list(request.args.items(multi=True)),
        data=request.get_data(),
        headers=kind,
        timeout=5,
    )
    return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])


@app.get("/home/<int:id>")
def home(id: int) -> Response:
    who = session.get(f"{USERS}/v1/users/{id}", timeout=2)
    what = session.get(f"{ORDERS}/orders/search?user={id}", timeout=2)
    return jsonify(user=who.json(), orders=what.json())


app.get("/quotes/<int:id>")(flask_view.quote)
