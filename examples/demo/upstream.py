"""A small shop API in Flask: the service that stands behind the gateway in the demo."""

import itertools
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request

app = Flask(__name__)
PRODUCTS = {
    1: {"id": 1, "name": "Espresso cup", "price": 9.5, "stock": 120},
    2: {"id": 2, "name": "Moka pot", "price": 34.0, "stock": 17},
    3: {"id": 3, "name": "Hand grinder", "price": 79.0, "stock": 4},
}
ORDERS: dict[int, dict[str, Any]] = {}
numbers = itertools.count(1)


def problem(status: HTTPStatus, detail: str) -> tuple[Response, int]:
    return jsonify(error=status.phrase, detail=detail), status


@app.get("/products")
def products() -> Response:
    return jsonify(list(PRODUCTS.values()))


@app.get("/products/<int:number>")
def product(number: int) -> Response | tuple[Response, int]:
    if number not in PRODUCTS:
        return problem(HTTPStatus.NOT_FOUND, f"no product {number}")
    return jsonify(PRODUCTS[number])


@app.post("/orders")
def order() -> tuple[Response, int]:
    wish = request.get_json(silent=True)
    if not isinstance(wish, dict) or wish.get("product") not in PRODUCTS:
        return problem(HTTPStatus.BAD_REQUEST, 'send {"product": 1}, with the number of a product')
    number = next(numbers)
    ORDERS[number] = {"order": number, "product": PRODUCTS[wish["product"]]["name"]}
    return jsonify(ORDERS[number]), HTTPStatus.CREATED


@app.get("/orders/<int:number>")
def orders(number: int) -> Response | tuple[Response, int]:
    if number not in ORDERS:
        return problem(HTTPStatus.NOT_FOUND, f"no order {number}")
    return jsonify(ORDERS[number])
