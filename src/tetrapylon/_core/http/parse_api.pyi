"""The second backend: httptools' public API."""

from typing import final

from typing_extensions import disjoint_base

from tetrapylon._core.http.message import Backend, Parser

@disjoint_base
class ApiParser(Parser):
    """Fed line by line."""

@final
class Callbacks:
    """Called back by httptools' parsers."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_status(self, reason: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_chunk_header(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...

class ApiBackend(Backend):
    """Makes ApiParsers."""
