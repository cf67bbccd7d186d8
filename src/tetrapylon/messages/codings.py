"""Content codings (RFC 9110 section 8.4.1) by the libraries that do the work, imported when one is used."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

__all__ = ["EFFORTS", "Broken", "Bytes", "Coder", "Decoder", "Expanding", "encoder", "missing"]

Bytes = bytes | memoryview
PIECE = 65536
SLACK = 1 << 20
"""Bytes that may come of few, whatever the ratio: small texts compress best."""

EFFORTS = {"fast": 0, "balanced": 1, "small": 2}
ISAL = (1, 2, 3)
ZLIB = (1, 5, 9)
BROTLI = (3, 5, 9)
ZSTD = (1, 3, 12)
ZSTD_MODULE = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
MODULES = {"gzip": "zlib", "br": "brotli", "zstd": ZSTD_MODULE}


class Broken(ValueError):
    """What is no such coding, or ends too early."""


class Expanding(ValueError):
    """More comes out than may."""


class Coder(NamedTuple):
    """Compresses one body: `code` may keep bytes back, `flush` gives all that was taken, `finish` ends it."""

    code: Callable[[Bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]


def missing(coding: str) -> str:
    """The module that the coding needs and that is not installed, or ""."""
    module = MODULES[coding]
    try:
        return "" if find_spec(module) is not None else module
    except ModuleNotFoundError:
        return module


def encoder(coding: str, effort: str) -> Callable[[], Coder]:
    """What makes a coder for each body."""
    level = EFFORTS[effort]
    if coding == "br":
        brotli = import_module("brotli")

        def make_brotli() -> Coder:
            made = brotli.Compressor(quality=BROTLI[level])
            return Coder(made.process, made.flush, made.finish)

        return make_brotli
    if coding == "zstd":
        zstd = import_module(ZSTD_MODULE)

        def make_zstd() -> Coder:
            made = zstd.ZstdCompressor(level=ZSTD[level])
            return Coder(
                made.compress,
                lambda: made.flush(made.FLUSH_BLOCK),
                lambda: made.flush(made.FLUSH_FRAME),
            )

        return make_zstd
    # A third of zlib's time for a few percent more bytes; either writes plain gzip.
    isal = import_module("isal.isal_zlib") if find_spec("isal") is not None else None
    library: Any = isal or zlib
    strength = ISAL[level] if isal else ZLIB[level]

    def make_gzip() -> Coder:
        made = library.compressobj(strength, zlib.DEFLATED, 31)
        return Coder(made.compress, lambda: made.flush(zlib.Z_SYNC_FLUSH), made.flush)

    return make_gzip


class Inflating(Protocol):
    """Decompresses one stream, at most PIECE bytes at a time."""

    def feed(self, data: Bytes) -> Iterator[bytes]: ...
    @property
    def ended(self) -> bool: ...


class Gzip:
    def __init__(self) -> None:
        self._made = zlib.decompressobj(31)
        self.ended = False

    def feed(self, data: Bytes) -> Iterator[bytes]:
        while data:
            if self.ended:  # members may follow each other (RFC 1952 section 2.2)
                self._made = zlib.decompressobj(31)
                self.ended = False
            yield self._made.decompress(data, PIECE)
            self.ended = self._made.eof
            data = self._made.unused_data if self.ended else self._made.unconsumed_tail


class Brotli:
    def __init__(self) -> None:
        self._made = import_module("brotli").Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._made.is_finished())

    def feed(self, data: Bytes) -> Iterator[bytes]:
        yield self._made.process(bytes(data), output_buffer_limit=PIECE)
        while not self._made.can_accept_more_data():
            yield self._made.process(b"", output_buffer_limit=PIECE)


class Zstd:
    def __init__(self) -> None:
        self._new = import_module(ZSTD_MODULE).ZstdDecompressor
        self._made = self._new()

    @property
    def ended(self) -> bool:
        return bool(self._made.eof)

    def feed(self, data: Bytes) -> Iterator[bytes]:
        while data:
            if self._made.eof:  # frames may follow each other (RFC 8878 section 3)
                self._made = self._new()
            yield self._made.decompress(data, PIECE)
            while not self._made.eof and not self._made.needs_input:
                yield self._made.decompress(b"", PIECE)
            data = self._made.unused_data if self._made.eof else b""


KINDS: dict[str, Callable[[], Inflating]] = {"gzip": Gzip, "br": Brotli, "zstd": Zstd}


class Decoder:
    """Decompresses one body, and refuses one that expands beyond measure.

    `most` bytes at all (0: any number), `ratio` times what went in and SLACK.
    """

    def __init__(self, coding: str, *, most: int = 0, ratio: int = 100) -> None:
        self._inner = KINDS[coding]()
        self._most = most
        self._ratio = ratio
        self._taken = 0
        self._given = 0

    def feed(self, data: Bytes) -> Iterator[bytes]:
        """Raises Broken and Expanding."""
        self._taken += len(data)
        pieces = self._inner.feed(data)
        while True:
            try:
                piece = next(pieces, None)
            except Exception as error:
                # Each library has an exception of its own.
                raise Broken(str(error)) from error
            if piece is None:
                return
            self._given += len(piece)
            if (self._most and self._given > self._most) or self._given > self._ratio * self._taken + SLACK:
                raise Expanding(f"{self._given} bytes of {self._taken}")
            if piece:
                yield piece

    def finish(self) -> None:
        """Raises Broken where the end is missing."""
        if self._taken and not self._inner.ended:
            raise Broken("it ends too early")
