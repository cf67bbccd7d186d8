"""Log files read as one stream of lines with times; what is broken is counted, never fatal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from tetrapylon.assess.logs.detect import format_of
from tetrapylon.assess.logs.files import lines
from tetrapylon.assess.logs.formats import ABSENT, Clock, Format, Line
from tetrapylon.assess.logs.json_lines import Dropped

__all__ = ["Reading"]

WINDOW = 500
"""Lines of no known format that are looked at together."""
ENOUGH = 0.1
"""The share of them that a format has to have."""
RARE = 0.01
"""What is left over at the end is broken, not of another format, where it is less of all lines than this."""
SHOWN = 3
NO_REQUEST = Line(None, ABSENT, ABSENT, 0)


class Reading:
    """Reads `paths` in their order; iterate over it once, then ask what was found.

    A file may change its format, and different files may have different ones: each line is read by the
    format that it fits. With `given`, by that alone.
    """

    def __init__(self, paths: Sequence[str], given: Format | None = None) -> None:
        self.paths = paths
        self.given = given
        self.formats: dict[str, Format] = {} if given is None else {given.text: given}
        self.counts: dict[str, int] = {}
        """Lines by the text of their format."""
        self.blank = 0
        self.broken = 0
        self.broken_at: list[str] = []
        """Where the first of them are."""
        self.dropped = 0
        """Requests that the gateway could not write a line for, as its log says."""
        self.damaged: list[str] = []
        self.on_file: Callable[[], None] = lambda: None
        """Called before each file."""
        self._unknown: list[tuple[str, bytes]] = []

    @property
    def read(self) -> int:
        return sum(self.counts.values())

    @property
    def slack(self) -> int:
        """By how many microseconds an upstream's time may exceed the whole, for their clocks alone."""
        clocks = self.clocks(lambda each: each.total) + self.clocks(lambda each: each.upstream)
        return 2 * max((clock.tick for clock in clocks), default=0)

    def shown(self, text: str) -> str:
        """A format's name with its text."""
        name = self.formats[text].name
        return text if name == text else f"{name}: {text}"

    def clocks(self, of: Callable[[Format], Clock | None]) -> list[Clock]:
        """Of the formats that lines were read in."""
        found = (of(self.formats[text]) for text in self.counts)
        return [clock for clock in found if clock is not None]

    def __iter__(self) -> Iterator[Line]:
        for path in self.paths:
            self.on_file()
            reads = self._readers()
            for number, text in enumerate(lines(path, self.damaged.append), 1):
                if not text.strip():
                    self.blank += 1
                    continue
                line = self._by(reads, text)
                if line is not None:
                    if line is not NO_REQUEST:
                        yield line
                    continue
                self._unknown.append((f"{path}:{number}", text))
                if len(self._unknown) >= WINDOW:
                    yield from self._look()
                    reads = self._readers()
            # What one file left is looked at before the next begins, so that lines keep their order; a few
            # may yet find more of their kind.
            if not self._few():
                yield from self._look()
        yield from self._look(broken=self._few())

    def _few(self) -> bool:
        return len(self._unknown) < RARE * self.read

    def _readers(self) -> list[tuple[str, Callable[[bytes], Line | None]]]:
        return [(text, each.read) for text, each in self.formats.items()]

    def _by(self, reads: Iterable[tuple[str, Callable[[bytes], Line | None]]], text: bytes) -> Line | None:
        try:
            for name, read in reads:
                line = read(text)
                if line is not None:
                    self.counts[name] = self.counts.get(name, 0) + 1
                    return line
        except Dropped as told:
            self.dropped += told.count
            return NO_REQUEST
        return None

    def _look(self, *, broken: bool = False) -> Iterator[Line]:
        """Finds the formats of the lines that no known one fits, none if `broken`, and reads them."""
        unknown, self._unknown = self._unknown, []
        votes: dict[str, list[Format]] = {}
        if self.given is None and not broken:
            for _, text in unknown:
                found = format_of(text)
                if found is not None:
                    votes.setdefault(found.text, []).append(found)
        for text_of, of in votes.items():
            if len(of) >= ENOUGH * len(unknown):
                self.formats.setdefault(text_of, of[0])
        reads = self._readers()
        for place, text in unknown:
            line = self._by(reads, text)
            if line is not None:
                if line is not NO_REQUEST:
                    yield line
            else:
                self.broken += 1
                if len(self.broken_at) < SHOWN:
                    self.broken_at.append(place)
