"""Metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0 (leaf)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "info"]

OPENMETRICS = "application/openmetrics-text"
PROMETHEUS = "text/plain"
UNITS = ("seconds", "milliseconds", "bytes")


class Format:
    """How lines are written. `created`: since when counters count, in seconds since the epoch.

    OpenMetrics names a counter's family without the `_total` of its samples, gives the unit that a name ends
    with, tells since when a series counts, and marks the end, so that a cut answer is known for one.
    """

    def __init__(self, *, openmetrics: bool, created: float = 0.0) -> None:
        self._openmetrics = openmetrics
        self._created = f"{created:.3f}"

    @property
    def content_type(self) -> str:
        if self._openmetrics:
            return f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
        return f"{PROMETHEUS}; version=0.0.4; charset=utf-8"

    @property
    def end(self) -> str:
        return "# EOF\n" if self._openmetrics else ""

    def head(self, name: str, kind: Kind, text: str) -> str:
        escaped = _escape(text) if self._openmetrics else text.replace("\\", r"\\").replace("\n", r"\n")
        if not self._openmetrics:
            return f"# HELP {name} {escaped}\n# TYPE {name} {'gauge' if kind == 'info' else kind}\n"
        suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
        family = name.removesuffix(suffix)
        unit = family.rpartition("_")[2]
        lines = f"# TYPE {family} {kind}\n"
        if unit in UNITS and kind != "info":
            lines += f"# UNIT {family} {unit}\n"
        return f"{lines}# HELP {family} {escaped}\n"

    def gauge(self, name: str, labels: str, value: object) -> str:
        return sample(name, labels, str(value))

    def counter(self, name: str, labels: str, value: object) -> str:
        """`name` ends with `_total`."""
        line = sample(name, labels, str(value))
        if not self._openmetrics:
            return line
        return line + sample(f"{name.removesuffix('_total')}_created", labels, self._created)

    def histogram(
        self, name: str, labels: str, buckets: Sequence[str], counts: Sequence[int], sum_ns: int
    ) -> Iterator[str]:
        """`buckets` as of `bucket_labels`; `counts` are not cumulative, and may have more at their end."""
        within = len(buckets) - 1
        count = 0
        for bucket, count in zip(buckets, accumulate((*counts[:within], sum(counts[within:]))), strict=True):
            yield sample(f"{name}_bucket", both(labels, bucket), str(count))
        yield sample(f"{name}_sum", labels, seconds(sum_ns))
        yield sample(f"{name}_count", labels, str(count))
        if self._openmetrics:
            yield sample(f"{name}_created", labels, self._created)


def sample(name: str, labels: str, value: str) -> str:
    return f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n"


def join_labels(labels: Iterable[tuple[str, str]]) -> str:
    """`a="1",b="2"`, values escaped; names are the caller's own."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def both(labels: str, more: str) -> str:
    return f"{labels},{more}" if labels else more


def bucket_labels(bounds: Sequence[float]) -> list[str]:
    """OpenMetrics has one way to write a bound: `1.0`, not `1`. A series has to keep its name in both."""
    return [join_labels([("le", repr(float(bound)))]) for bound in bounds] + ['le="+Inf"']


def seconds(ns: int) -> str:
    return f"{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"


def prefers_openmetrics(accept: str) -> bool:
    """Whether an Accept field asks for OpenMetrics (RFC 9110, 12.5.1): by name, before plain text."""
    weights: dict[str, float] = {}
    for item in accept.split(","):
        kind, *parameters = [part.strip().lower() for part in item.split(";")]
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weight = _weight(value.strip())
        weights[kind] = max(weight, weights.get(kind, 0.0))
    plain = weights.get(PROMETHEUS, weights.get("text/*", 0.0))
    wanted = weights.get(OPENMETRICS, 0.0)
    return wanted > 0 and wanted >= plain


def _weight(text: str) -> float:
    """A malformed weight is none: what else the client takes is not to be kept from it."""
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
