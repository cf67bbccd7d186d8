import requests
from flask import request
from flask_limiter import Limiter


def by_key():
    return request.headers.get("X-API-Key", "")


limiter = Limiter(by_key, default_limits=["200 per hour", "50/minute"], storage_uri="memory://")
http = requests.Session()
http.headers["X-Internal"] = "gateway"
