"""Views that others guard by rules of their own."""

from functools import wraps

import requests
from flask import Blueprint, abort, g, redirect, request

bp = Blueprint("ruled", __name__)


def roles_required(*roles):
    def around(view):
        @wraps(view)
        def inner(*args, **kwargs):
            if g.user.role not in roles:
                abort(403)
            return view(*args, **kwargs)

        return inner

    return around


def members(view):
    @wraps(view)
    def inner(*args, **kwargs):
        return view(*args, **kwargs) if "member" in request.cookies else redirect("/join")

    return inner


def logged(view):
    return view


@bp.get("/staff")
@roles_required("staff")
def staff():
    return requests.get("http://staff:9009/").content


@bp.get("/club")
@members
def club():
    return requests.get("http://club:9009/").content


@bp.get("/open")
@logged
def everyone():
    return requests.get("http://open:9009/").content
