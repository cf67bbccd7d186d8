from flask import Blueprint, current_app, request

from .proxy import forward

bp = Blueprint("orders", __name__)


@bp.before_request
def check():
    if request.args.get("api_key") != "x":
        return {"error": "forbidden"}, 403


@bp.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@bp.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
def orders(path):
    return forward(current_app.config["ORDERS_URL"], path)


@bp.get("/cached/<path:path>")
def cached(path):
    resp = forward(current_app.config["ORDERS_URL"], path)
    resp.headers["Cache-Control"] = "max-age=60"
    return resp
