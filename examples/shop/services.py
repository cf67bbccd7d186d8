"""The services behind the shop's gateway, in one program: users and orders."""

from flask import Flask, Response, abort, jsonify, request

app = Flask(__name__)
USERS = {1: {"id": 1, "name": "Ada", "team": 7}, 2: {"id": 2, "name": "Bo", "team": 8}}
ORDERS = [{"id": 10, "user": 1, "total": 25.0}, {"id": 11, "user": 2, "total": 12.5}]


@app.get("/v1/users/<int:id>")
def user(id: int) -> Response:
    if id not in USERS:
        abort(404)
    return jsonify(USERS[id])


@app.get("/orders/search")
def search() -> Response:
    wanted = request.args.get("user", type=int)
    return jsonify([each for each in ORDERS if wanted in (None, each["user"])])


@app.post("/orders/new")
def new() -> tuple[Response, int]:
    return jsonify(id=12, lines=request.get_json()["lines"]), 201
