from functools import wraps

from flask import Blueprint, redirect, session

bp = Blueprint("admin", __name__)


def login_required(view):
    @wraps(view)
    def inner(*a, **k):
        if "user" not in session:
            return redirect("/login")
        return view(*a, **k)

    return inner


@bp.get("/stats")
@login_required
def stats():
    import requests

    return requests.get("http://stats:9005/all").json()
