"""`make screenshot`: the admin page before a shop on a bad day, into docs/."""

import json
import random
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.harness import Gateway, Upstream, answers
from tests.harness.browser import browser
from tests.harness.upstream import Conversation, Script

DOCS = Path(__file__).resolve().parents[2] / "docs"
LASTS = 110.0
"""Seconds of traffic."""
PATHS = ("/users/7", "/users/8", "/orders/12", "/orders", "/search?q=arch", "/static/app.css", "/old")


def shop(slowest: float, broken: threading.Event) -> Script:
    """Takes up to `slowest` seconds for an answer, and fails now and then once it is broken."""

    def serve(peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            time.sleep(random.random() ** 3 * slowest)
            bad = broken.is_set() and random.random() < 0.4
            peer.send(answers.response(b"x" * 900, "500 Internal Server Error" if bad else "200 OK"))

    return serve


def scene(stack: ExitStack, broken: threading.Event) -> Gateway:
    users, orders, search = (
        stack.enter_context(Upstream(shop(slowest, over)))
        for slowest, over in ((0.03, threading.Event()), (0.15, broken), (0.6, threading.Event()))
    )
    check = {"health": {"active": {"path": "/", "interval": "2s"}}}
    config = {
        "admin": {"listen": "127.0.0.1:0"},
        "server": {"workers": 2},
        "log": {"access": None},
        "upstreams": {
            "users": {"targets": [users.url, "http://127.0.0.1:9"], **check},
            "orders": {"targets": [orders.url], "timeouts": {"response": "30s"}},
            "search": {"targets": [search.url], **check},
        },
        "routes": [
            {"path": "/users/{id:int}", "methods": ["GET"], "upstream": "users"},
            {"path": "/orders/{id:int}", "upstream": "orders"},
            {"path": "/orders", "upstream": "orders"},
            {"path": "/search", "methods": ["GET"], "upstream": "search"},
            {"path": "/static/{rest:path}", "upstream": "users"},
        ],
    }
    gateway = stack.enter_context(Gateway(config, cwd=DOCS.parent))
    over = threading.Event()
    for _ in range(8):
        thread = threading.Thread(target=visit, args=(gateway, over))
        thread.start()
        stack.callback(thread.join)
    stack.callback(over.set)
    time.sleep(LASTS * 0.5)
    config["upstreams"]["orders"]["timeouts"]["response"] = "5s"  # type: ignore[index]
    gateway.write(json.loads(json.dumps(config)))
    urllib.request.urlopen(
        urllib.request.Request(f"http://{gateway.admin}/reload", method="POST"), timeout=30
    ).close()
    time.sleep(LASTS * 0.1)
    broken.set()
    time.sleep(LASTS * 0.4)
    return gateway


def visit(gateway: Gateway, over: threading.Event) -> None:
    while not over.is_set():
        # On a busy machine an answer may be late; the visitor comes back.
        with suppress(TimeoutError), gateway.client() as client:
            for path in random.choices(PATHS, weights=(5, 5, 2, 2, 1, 6, 0.2), k=20):
                client.ask("GET", path)
                over.wait(random.random() * 0.04)


def main() -> None:
    with ExitStack() as stack:
        gateway = scene(stack, threading.Event())
        for name, width, height, dark, scale in (
            ("page-desktop.png", 1280, 1000, False, 1),
            ("page-phone.png", 390, 844, True, 2),
        ):
            with browser(width=width, height=height, dark=dark, scale=scale) as driver:
                driver.get(f"http://{gateway.admin}/")
                time.sleep(7)
                driver.save_screenshot(str(DOCS / name))
                print(f"docs/{name}")


if __name__ == "__main__":
    main()
