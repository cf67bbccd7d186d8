"""The first backend: llhttp itself, by its C callbacks, as httptools' module carries and exports it."""

from typing import final

from tetrapylon._core.http.message import Backend, Parser

misfit: str | None
"""Why the declarations don't fit the llhttp that is installed; None if they do."""

@final
class LlhttpParser(Parser):
    """Called back by llhttp from C."""

class LlhttpBackend(Backend):
    """Makes LlhttpParsers."""
