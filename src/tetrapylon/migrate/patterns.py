"""A framework's rules as paths of routes: what they take, or more, never less."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Piece", "Translated", "from_pieces", "regex_pieces", "split_braces"]

LITERAL = re.compile(r"[^{}\s]*")


class Piece(NamedTuple):
    """A literal, or a parameter with the gateway's type: `""`, `int`, `uuid` or `path`."""

    text: str
    """The literal, or the parameter's name."""
    kind: str | None = None
    """None for a literal."""
    note: str = ""
    """What the type leaves out."""


class Translated(NamedTuple):
    path: str
    notes: list[str]


NO_PCHAR = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@\x80-\U0010ffff]")
"""What clients send escaped in a path (RFC 3986, 3.3), and frameworks match unescaped."""


def from_pieces(pieces: Iterable[Piece]) -> Translated:
    """The path. A parameter that is part of a segment takes it all; a `path` takes what follows it."""
    segments: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.kind is not None:
            segments[-1].append(piece)
            continue
        first, *others = piece.text.split("/")
        segments[-1].append(Piece(first))
        segments.extend([Piece(other)] for other in others)
    if segments and not any(piece.text or piece.kind is not None for piece in segments[0]):
        segments.pop(0)
    notes: list[str] = []
    names: set[str] = set()
    out: list[str] = []
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        parameters = [piece for piece in segment if piece.kind is not None]
        literal = "".join(piece.text for piece in segment if piece.kind is None)
        notes += [piece.note for piece in parameters if piece.note]
        if not parameters:
            if literal in ("", ".", "..", "*", "**") and not (last and literal == ""):
                return Translated(
                    _joined([*out, _parameter("rest", "path", names)]),
                    [*notes, f"the segment {literal!r} cannot be matched; all below is taken"],
                )
            out.append(NO_PCHAR.sub(lambda found: f"%{ord(found[0]):02X}", literal))
            continue
        widest = next((piece for piece in parameters if piece.kind == "path"), None)
        whole = len(parameters) == 1 and not literal
        if widest is not None:
            if not (whole and last):
                notes.append(f"{{{widest.text}}} may have slashes in it, so the path takes what follows too")
            out.append(_parameter(widest.text, "path", names))
            return Translated(_joined(out), notes)
        if whole:
            out.append(_parameter(parameters[0].text, parameters[0].kind or "", names))
        else:
            shown = "".join(piece.text if piece.kind is None else f"{{{piece.text}}}" for piece in segment)
            name = "_".join(piece.text for piece in parameters)
            notes.append(f"{shown} is one segment, {{{name}}}")
            out.append(_parameter(name, "", names))
    return Translated(_joined(out), notes)


def _parameter(name: str, kind: str, names: set[str]) -> str:
    name = re.sub(r"\W", "_", name) or "value"
    if not name.isidentifier():
        name = f"p_{name}"
    while name in names:
        name += "_"
    names.add(name)
    return f"{{{name}:{kind}}}" if kind else f"{{{name}}}"


def _joined(segments: list[str]) -> str:
    return "/" + "/".join(segments)


def split_braces(rule: str, pattern: re.Pattern[str]) -> list[re.Match[str] | str]:
    """The literals and the matches of `pattern` in a rule, in order."""
    found: list[re.Match[str] | str] = []
    at = 0
    for match in pattern.finditer(rule):
        found += [rule[at : match.start()], match]
        at = match.end()
    return [*found, rule[at:]]


GROUP = re.compile(r"\((?:\?P<(?P<name>\w+)>)?(?!\?)")
DIGITS = re.compile(r"(?:\[0-9\]|\\d)(?:\+|\{\d+(?:,\d*)?\})")
UUID = re.compile(r"\[(?:0-9a-f|a-f0-9|0-9a-fA-F|a-fA-F0-9)-?\](?:\{\d+\}|\+).*", re.DOTALL)
ONE_SEGMENT = re.compile(r"(?:\[\^/[^\]]*\]|\[[\w\\\-.@+~%]+\]|\\w|\\d|\w)(?:\+|\{\d+(?:,\d*)?\})")


def regex_pieces(regex: str) -> list[Piece]:
    """A regular expression's groups and literals, as far as it is made of them; the rest is a `path`."""
    text = regex.removeprefix("^")
    pieces: list[Piece] = []
    count = 0
    while text:
        if text in ("$", r"\Z"):
            return pieces
        if text in ("/?$", r"/?\Z", "/?"):
            return (
                [
                    *pieces[:-1],
                    pieces[-1]._replace(
                        note="with and without a slash at its end; the app "
                        "takes the one with it by the route for all the rest"
                    ),
                ]
                if pieces and (pieces[-1].kind is not None)
                else pieces
            )
        group = GROUP.match(text)
        if group is not None:
            end = _closing(text)
            inner = text[group.end() : end]
            after = text[end + 1 :]
            count += 1
            name = group["name"] or f"group{count}"
            if after[:1] in ("?", "*", "+", "{"):
                break
            if DIGITS.fullmatch(inner):
                note = "" if inner in ("[0-9]+", r"\d+") else f"{{{name}}} is {inner} in the app"
                pieces.append(Piece(name, "int", note))
            elif ONE_SEGMENT.fullmatch(inner):
                note = "" if inner.startswith("[^/]") else f"{{{name}}} is {inner} in the app"
                pieces.append(Piece(name, "", note))
            elif inner in (".*", ".+"):
                pieces.append(Piece(name, "path"))
            else:
                pieces.append(Piece(name, "path", f"{{{name}}} is {inner} in the app"))
            text = after
            continue
        literal = re.match(r"(?:[\w/\-~%@:;,=&!' ]|\\[^\w\s])+", text)
        if literal is None or text[literal.end() : literal.end() + 1] in ("?", "*", "+", "{"):
            break
        pieces.append(Piece(re.sub(r"\\(.)", r"\1", literal[0])))
        text = text[literal.end() :]
    else:
        # No `$`: Django searches, so whatever follows is taken too.
        return [*pieces, Piece("rest", "path", "the expression is open at its end")]
    return [*pieces, Piece("rest", "path", f"{text} is not translated")]


def _closing(text: str) -> int:
    depth, escaped, in_class = 0, False, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return at
    return len(text)
