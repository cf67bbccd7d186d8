"""What a config that `migrate` wrote needs to be served: the app on a port, as an upstream."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import yaml


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The tests ask; nobody reads a log."""


@contextlib.contextmanager
def wsgi(app: Any) -> Iterator[str]:
    """The app on a port of its own; what it is reached at."""
    server = make_server("127.0.0.1", 0, app, handler_class=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_upstream(text: str, address: str = "http://127.0.0.1:9") -> str:
    """The same routes with the app as an upstream: what a gateway of any build can be asked about."""
    config = yaml.safe_load(text)
    apps = config.pop("apps")
    config["upstreams"] = {name: {"targets": [address]} for name in apps}
    for route in config["routes"]:
        if "app" in route:
            route["upstream"] = route.pop("app")
    config["server"]["listen"] = ["127.0.0.1:0"]
    return str(yaml.safe_dump(config, sort_keys=False))
