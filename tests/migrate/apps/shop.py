"""A Flask gateway of the usual kind: keys, limits, forwarding, merging, and some logic of its own."""

import os
from functools import wraps
from uuid import UUID

import requests
from flask import Flask, Response, abort, jsonify, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.routing import BaseConverter

USERS = "http://127.0.0.1:9001"
SERVICES = {"orders": os.environ.get("ORDERS_URL", "http://127.0.0.1:9002")}
session = requests.Session()

app = Flask(__name__, static_folder=None)
limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")


class Colour(BaseConverter):
    regex = "[0-9a-f]{6}"


app.url_map.converters["colour"] = Colour


def require_key(view):
    @wraps(view)
    def checked(*args, **kwargs):
        if request.headers.get("X-API-Key") not in {"one", "two"}:
            abort(401)
        return view(*args, **kwargs)

    return checked


def forward(service, path):
    answer = session.request(
        request.method, f"{service}/{path}", params=request.args, data=request.get_data()
    )
    return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])


@app.get("/users/<int:id>")
@require_key
def user(id):
    answer = requests.get(f"{USERS}/v1/users/{id}", timeout=2)
    return Response(answer.content, answer.status_code)


@app.route("/orders/<path:rest>", methods=["GET", "POST"])
@limiter.limit("100 per minute")
def orders(rest):
    return forward(SERVICES["orders"], rest)


@app.get("/home/<uuid:id>")
def home(id: UUID):
    who = requests.get(f"{USERS}/users/{id}")
    what = requests.get(f"{SERVICES['orders']}/orders?user={id}")
    return jsonify(user=who.json(), orders=what.json())


@app.get("/price/<int:id>")
def price(id):
    answer = requests.get(f"{USERS}/prices/{id}").json()
    total = answer["net"] * 1.2
    return jsonify(price=total)


@app.get("/colour/<colour:value>/<any(big,small):size>")
def colour(value, size):
    return f"{value} {size}"


@app.get("/files/<name>.<ext>")
def file(name, ext):
    return f"{name}!{ext}"


@app.get("/")
def index():
    return "shop"
