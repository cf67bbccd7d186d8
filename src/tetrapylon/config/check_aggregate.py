"""What the parts of an aggregate mean together: who waits for whom, what is picked, where it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from tetrapylon._core.http.template import pieces, unknown
from tetrapylon.config.check_upstreams import upstream_known
from tetrapylon.config.edits import edit_problems
from tetrapylon.config.model import Config, Part, Route
from tetrapylon.config.shape import FAILED, nearest
from tetrapylon.config.template import fields
from tetrapylon.config.tree import Path, Report

__all__ = ["check_aggregate", "own_parameters"]

PARAMETER = re.compile(r"\{(\w+)")
# What a target may hold (RFC 3986, 3.3 and 3.4), with escapes complete.
TARGET = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
# What the gateway says itself to those it asks.
OWN = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    }
)
# Of an answer that was kept, or of a part of it: nothing that could be put together.
ELSEWHERE = frozenset(
    {"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"}
)
MOST = 32


def own_parameters(route: Route) -> list[str]:
    """The names of the parameters of a route's path, in order."""
    return PARAMETER.findall(route.path or "")


def check_aggregate(
    route: Route, parts: Mapping[str, Part], path: Path, config: Config, report: Report
) -> None:
    if not parts and not report.touched(path):
        report.add(path, "there are no parts", "expected {NAME: {upstream: ..., path: ...}}")
    if len(parts) > MOST:
        report.add(path, f"there are {len(parts)} parts", f"expected {MOST} at most")
    for name, part in parts.items():
        here = (*path, name)
        if part is FAILED or report.refused(here):
            continue
        if part.upstream is not None:
            upstream_known(part.upstream, (*here, "upstream"), config, report)
        if part.path is not None and not report.touched((*here, "path")):
            _path(route, name, part.path, parts, (*here, "path"), report)
        if not report.touched(here):
            _answer(name, part, parts, here, report)
            _request(part, here, report)
    if not report.touched(path):
        _order(parts, path, report)


def _path(route: Route, own: str, text: str, parts: Mapping[str, Part], path: Path, report: Report) -> None:
    try:
        written = pieces(text)
        wanted = fields(text)
        found = unknown(text, own_parameters(route), [name for _, name in wanted])
    except ValueError as error:
        report.add_error(path, error)
        return
    literal = "".join("x" if piece is None else piece for piece, _ in written)
    if not text.startswith("/") or text.startswith("//"):
        report.add(path, f"{text!r} is not a path", "expected one that begins with /")
    elif TARGET.fullmatch(literal) is None:
        report.add(path, f"{text!r} holds what no target may (RFC 3986, 3)", "write it percent-encoded")
    for part, name in wanted:
        if part == own:
            report.add(path, f"{{{name}}} is of the part itself", "name a field of another part")
        elif part not in parts:
            close = nearest(part, [each for each in parts if each != own])
            rest = name.partition(".")[2]
            hint = f"did you mean {{{close}.{rest}}}?" if close else f"the parts are {', '.join(parts)}"
            report.add(path, f"there is no part {part!r} for {{{name}}}", hint)
    if found is not None:
        name, known = found
        if name in parts:
            report.add(path, f"{{{name}}} is all of a part", f"name a field of it, such as {{{name}.id}}")
            return
        close = nearest(name, known)
        hint = f"did you mean {{{close}}}?" if close else f"expected one of {', '.join(known)}"
        report.add(path, f"{{{name}}} means nothing here", hint)


def _answer(own: str, part: Part, parts: Mapping[str, Part], path: Path, report: Report) -> None:
    """What becomes of what it answers."""
    if part.default is not msgspec.UNSET:
        if part.required:
            hint = "add `required: false`, or leave it out"
            report.add((*path, "default"), "a required part needs no default", hint, key=True)
        elif part.flatten and not isinstance(part.default, dict):
            report.add((*path, "default"), "what is flattened is an object", "expected a mapping")
    if part.group is not None:
        clash = next(
            (name for name, each in parts.items() if each is not FAILED and name == part.group), None
        )
        if clash is not None and parts[clash].group is None and not parts[clash].flatten:
            hint = "choose another name for one of the two"
            report.add((*path, "group"), f"{part.group!r} is the member of a part, too", hint)
    for inside, what, hint in edit_problems(part.pick, part.drop, part.rename):
        report.add((*path, *inside), what, hint, key=inside[0] == "rename")


def _request(part: Part, path: Path, report: Report) -> None:
    if part.body and part.method in ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE"):
        hint = "give a `method` such as POST"
        report.add((*path, "body"), f"a {part.method} sends no body", hint, key=True)
    if part.method == "HEAD":
        report.add((*path, "method"), "the answer to HEAD has no body to make an answer of", "expected GET")
    for index, header in enumerate(part.forward):
        meant = header.lower().replace("_", "-")
        if meant in OWN:
            report.add((*path, "forward", index), f"the gateway sets {header} itself", "leave it out")
        elif meant in ELSEWHERE:
            hint = "leave it out"
            report.add((*path, "forward", index), f"{header} asks for no whole answer", hint)
    for index, use in enumerate(part.policies):
        if use is not FAILED and use.use in ("cors", "replay"):
            hint = "give it to the route"
            report.add((*path, "policies", index), f"{use.use} is about the client, not about a part", hint)


def _order(parts: Mapping[str, Part], path: Path, report: Report) -> None:
    """Says where parts wait for each other in a ring."""
    after = {name: [each for each, _ in fields(part.path)] for name, part in parts.items()}
    told: set[str] = set()
    for name in parts:
        ring = next(_rings(name, after, (name,)), None)
        if ring is None or told & set(ring):
            continue
        told |= set(ring)
        shown = " -> ".join((*ring, ring[0]))
        report.add((*path, name, "path"), f"the parts wait for each other: {shown}", "break the ring")


def _rings(start: str, after: Mapping[str, list[str]], trail: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in after[trail[-1]]:
        if name == start:
            yield trail
        elif name not in trail:
            yield from _rings(start, after, (*trail, name))
