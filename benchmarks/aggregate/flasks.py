"""The same on Flask: requests on threads, a session for each."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from flask import Flask, Response, jsonify

BACKEND = os.environ["BACKEND"]
app = Flask(__name__)
threads = ThreadPoolExecutor(16)
own = threading.local()


def fetch(path: str) -> Any:
    if not hasattr(own, "session"):
        own.session = requests.Session()
    answer = own.session.get(BACKEND + path, timeout=5)
    answer.raise_for_status()
    return answer.json()


@app.get("/page")
def page() -> Response:
    user, orders, ads = threads.map(fetch, ("/user", "/orders", "/ads"))
    return jsonify(user={"id": user["id"], "name": user["name"]}, orders=orders, ads=ads)
