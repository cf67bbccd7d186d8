"""Until when the certificates are good that the config names, for an alert before they are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tetrapylon.admin.text import Format, join_labels
from tetrapylon.net import x509

if TYPE_CHECKING:
    from tetrapylon.config.model import Config

NAME = "tetrapylon_certificate_expiry_timestamp_seconds"
Stamp = tuple[int, int, int]


class Certificates:
    """Of listeners, the admin address and upstreams (mTLS). Files are read when they have changed."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        """What each is shown by: `listener`, `admin` or `upstream`."""
        self._read: dict[str, tuple[Stamp, float]] = {}

    def follow(self, config: Config) -> None:
        """By this config from now on; its routes are not looked at."""
        from tetrapylon.net.tls import pairs

        files: dict[str, str] = {}
        for upstream in config.upstreams.values():
            if upstream.tls.cert is not None:
                files[upstream.tls.cert] = "upstream"
        if config.admin is not None and config.admin.tls is not None:
            files[config.admin.tls.cert] = "admin"
        for listener in config.server.listen:
            if listener.tls is not None:
                files |= {pair.cert: "listener" for pair in pairs(listener.tls)}
        self._files = files
        self._read = {file: read for file, read in self._read.items() if file in files}

    def families(self, form: Format) -> Iterator[str]:
        """A file that cannot be read has no sample: what it held before stays in use, and the log says so."""
        if not self._files:
            return
        yield form.head(NAME, "gauge", "When a certificate ends, in seconds since the epoch.")
        for file, use in self._files.items():
            ends = self._ends(file)
            if ends is not None:
                yield form.gauge(NAME, join_labels([("file", file), ("use", use)]), ends)

    def _ends(self, file: str) -> float | None:
        try:
            found = os.stat(file)
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            before = self._read.get(file)
            if before is None or before[0] != stamp:
                with open(file, encoding="utf-8", errors="replace") as opened:
                    before = (stamp, x509.first(opened.read()).ends.timestamp())
                self._read[file] = before
        except (OSError, ValueError):
            return None
        return before[1]
