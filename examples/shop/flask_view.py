"""The view that docs/handlers.md begins with."""

from flask import Flask, Response, abort, jsonify, request

app = Flask(__name__)
PRICES = {1: 12.5, 2: 99.0}


@app.get("/quotes/<int:id>")
def quote(id: int) -> Response:
    try:
        size = int(request.args.get("size", "100"))
    except ValueError:
        abort(400)
    if size < 1 or id not in PRICES:
        abort(400 if size < 1 else 404)
    return jsonify(id=id, symbol="ACME", price=PRICES[id], size=size, open=True, tags=["nyse"])
