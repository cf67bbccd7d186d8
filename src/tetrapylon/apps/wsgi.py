"""The WSGI app that `TETRAPYLON_APP` names, which sees the client where it would see the gateway.

The socket is the gateway's alone, so what it says of the client is true (PEP 3333's REMOTE_ADDR has no word
for a Unix socket, and gunicorn leaves it empty).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from tetrapylon.apps.loaded import hosted

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def seen_by(app: App) -> App:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("REMOTE_ADDR"):
            environ["REMOTE_ADDR"] = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        return app(environ, start_response)

    return application


if "TETRAPYLON_APP" in os.environ:
    application = seen_by(hosted())
