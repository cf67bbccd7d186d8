import requests
from flask import Blueprint, abort, current_app, jsonify, redirect, request, url_for
from flask.views import MethodView

from .ext import limiter
from .proxy import UsersClient, forward

bp = Blueprint("users", __name__)


@bp.get("/<int:id>")
def user(id):
    return forward(current_app.config["USERS_URL"], f"v1/users/{id}")


@bp.get("/<int:id>/avatar")
@limiter.limit("5/second;100/minute")
def avatar(id):
    resp = requests.get(f"{current_app.config['USERS_URL']}/avatars/{id}", stream=True, timeout=(2, 10))
    return resp.content, resp.status_code, {"Content-Type": resp.headers["Content-Type"]}


@bp.get("/<int:id>/secret")
@limiter.exempt
def secret(id):
    resp = requests.get(
        f"{current_app.config['USERS_URL']}/secret/{id}",
        headers={"X-Internal-Token": current_app.config["INTERNAL_TOKEN"]},
        auth=("gw", "pw"),
    )
    return resp.json(), resp.status_code


@bp.get("/search")
def search():
    resp = requests.get(
        f"{current_app.config['USERS_URL']}/search", params={"q": request.args["q"], "limit": 10}
    )
    return jsonify(resp.json())


@bp.get("/me")
def me():
    return redirect(url_for("users.user", id=1))


@bp.get("/classy/<int:id>")
def classy(id):
    r = UsersClient().get(id)
    if r.status_code == 404:
        abort(404)
    r.raise_for_status()
    return jsonify(r.json())


@bp.post("/")
def create():
    r = requests.post(f"{current_app.config['USERS_URL']}/users", json=request.get_json())
    return r.json(), 201


class Prefs(MethodView):
    decorators = [limiter.limit("1/second")]

    def get(self, id):
        r = requests.get(f"{current_app.config['USERS_URL']}/prefs/{id}")
        return r.json()

    def put(self, id):
        r = requests.put(f"{current_app.config['USERS_URL']}/prefs/{id}", json=request.json)
        return r.json(), r.status_code


bp.add_url_rule("/<int:id>/prefs", view_func=Prefs.as_view("prefs"))


@bp.get("/<int:id>/home")
def home(id):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        a = pool.submit(requests.get, f"{current_app.config['USERS_URL']}/u/{id}")
        b = pool.submit(requests.get, f"{current_app.config['ORDERS_URL']}/o/{id}")
    return {"user": a.result().json(), "orders": b.result().json()}


@bp.get("/<int:id>/summary")
def summary(id):
    user = requests.get(f"{current_app.config['USERS_URL']}/u/{id}").json()
    orders = requests.get(f"{current_app.config['ORDERS_URL']}/o", params={"user": id}).json()
    return {**user, "orders": orders["items"]}
