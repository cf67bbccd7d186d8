from flask import abort, current_app, g, request


def require_api_key():
    key = request.headers.get("X-API-Key")
    if not key or key not in current_app.config["API_KEYS"]:
        abort(401)
    g.consumer = key
