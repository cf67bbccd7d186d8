"""Log files as lines: plain or compressed, of bounded length."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedIOBase
from typing import IO

from tetrapylon.errors import UsageError

__all__ = ["LONGEST", "lines"]

LONGEST = 1 << 16
"""Bytes of a line; one that is longer is broken."""

OPENERS: tuple[tuple[bytes, Callable[[IO[bytes]], BufferedIOBase]], ...] = (
    (b"\x1f\x8b", partial(gzip.GzipFile, None, "rb", 9)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
ZSTD = b"\x28\xb5\x2f\xfd"


def lines(path: str, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """Each line of a file, or of standard input for `-`, without its end; empty for one that is too long.

    What a file is compressed with is read from its first bytes. `damaged` is told where a compressed one
    ends before its time; what came before is still given. Raises UsageError where a file cannot be read.
    """
    if path == "-" and sys.stdin is None:
        raise UsageError("standard input is closed; name a file in place of -")
    try:
        with open(sys.stdin.fileno() if path == "-" else path, "rb", closefd=path != "-") as raw:
            start = raw.peek(8)
            if start.startswith(ZSTD):
                raise UsageError(f"{path} is compressed with zstd; expand it first: zstdcat {path} | ... -")
            file: IO[bytes] | BufferedIOBase = raw
            for magic, opener in OPENERS:
                if start.startswith(magic):
                    file = opener(raw)
            try:
                yield from _split(file)
            except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
                # What a decompressor finds wrong is an OSError, too: one that the system has no number for.
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                damaged(f"{path} is damaged: {error}; what came before was read")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None


def _split(file: IO[bytes] | BufferedIOBase) -> Iterator[bytes]:
    while line := file.readline(LONGEST):
        if line.endswith(b"\n"):
            yield line.rstrip(b"\r\n")
        elif len(line) < LONGEST:
            yield line
        else:
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST)
            yield b"\x00"
