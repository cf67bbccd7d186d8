"""The same on Flask."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.get("/quotes/<int:id>")
def quote(id: int) -> Response:
    return jsonify(id=id, symbol="ACME", price=12.5, size=100, open=True, tags=["nyse", "tech"])


@app.post("/orders")
def orders() -> Response:
    return jsonify(request.get_json())
