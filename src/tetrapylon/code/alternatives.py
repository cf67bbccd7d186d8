"""Several operations that OpenAPI has one place for, told as one.

A document has one operation for a path and a method (OpenAPI 3.1.0, 4.8.8 and 4.8.9), where the gateway may
have several: they differ in the headers that a request must carry, or in the types of the path's parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Alternative", "told_as_one"]

# Parameters of these names have no effect (OpenAPI 3.1.0, 4.8.12.2).
ELSEWHERE = frozenset({"accept", "authorization", "content-type"})

Described = dict[str, Any]


class Alternative(NamedTuple):
    """One of them."""

    path: str
    """As its route has it."""
    headers: Mapping[str, str]
    """That a request for it carries."""
    described: Described
    """An Operation Object, without these headers."""


def told_as_one(several: Sequence[Alternative]) -> Described:
    """An Operation Object that allows what any of them takes, and says in words which is which."""
    if len(several) == 1:
        return _one(several[0])
    each = [_with_headers(alternative) for alternative in several]
    merged: Described = {}
    if summaries := _unique(one["summary"] for one in each if "summary" in one):
        merged["summary"] = " / ".join(summaries)
    merged["description"] = "\n".join(
        ["Which of these it is depends on the request:", "", *_conditions(several)]
    )
    if parameters := _parameters(each):
        merged["parameters"] = parameters
    if bodies := [one["requestBody"] for one in each if "requestBody" in one]:
        required = len(bodies) == len(each) and all(body["required"] for body in bodies)
        merged["requestBody"] = {"required": required, "content": _contents(bodies)}
    merged["responses"] = _responses([one["responses"] for one in each])
    return merged


def _one(alternative: Alternative) -> Described:
    described = _with_headers(alternative)
    if said := [name for name in alternative.headers if name.lower() in ELSEWHERE]:
        wanted = " and ".join(f"`{name}: {alternative.headers[name]}`" for name in said)
        text = [described["description"]] if "description" in described else []
        described["description"] = "\n\n".join([*text, f"Only for requests with {wanted}."])
    return described


def _with_headers(alternative: Alternative) -> Described:
    """With a parameter for each header that a request must carry."""
    needed = {name.lower(): (name, value) for name, value in alternative.headers.items()}
    own = [
        each
        for each in alternative.described.get("parameters", ())
        if each["in"] != "header" or each["name"].lower() not in needed
    ]
    own += [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string", "const": value}}
        for key, (name, value) in needed.items()
        if key not in ELSEWHERE
    ]
    return {**alternative.described, "parameters": own} if own else dict(alternative.described)


def _conditions(several: Sequence[Alternative]) -> Iterator[str]:
    paths = len({each.path for each in several}) > 1
    for each in several:
        wanted = [f"`{each.path}`"] if paths else []
        wanted += [f"`{name}: {value}`" for name, value in each.headers.items()]
        said = (each.described.get(key, "") for key in ("summary", "description"))
        text = " ".join(" ".join(said).split())
        yield f"- {' and '.join(wanted) or 'otherwise'}" + (f": {text}" if text else "")


def _parameters(each: Sequence[Described]) -> list[Described]:
    found: dict[tuple[str, str], list[Described]] = {}
    for one in each:
        for parameter in one.get("parameters", ()):
            name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
            found.setdefault((parameter["in"], name), []).append(parameter)
    merged = []
    for same in found.values():
        everywhere = len(same) == len(each)
        required = everywhere and all(parameter["required"] for parameter in same)
        schema = _either([parameter["schema"] for parameter in same], everywhere=everywhere)
        merged.append({**same[0], "required": required, "schema": schema})
    return merged


def _either(schemas: Sequence[Described], *, everywhere: bool = True) -> Described:
    """What fits one of them. Where not all operations know it, a fixed value is no more than an example."""
    if all("const" in schema for schema in schemas):
        values = _unique(schema["const"] for schema in schemas)
        if everywhere and len(values) == 1:
            return {"type": "string", "const": values[0]}
        return {"type": "string", "enum" if everywhere else "examples": values}
    distinct = _unique(schemas)
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _contents(several: Iterable[Described]) -> Described:
    """Of request bodies or responses, by media type."""
    found: dict[str, list[Described]] = {}
    for each in several:
        for kind, media in each.get("content", {}).items():
            found.setdefault(kind, []).append(media)
    return {
        kind: {"schema": _either([media["schema"] for media in same])}
        if all("schema" in media for media in same)
        else {}
        for kind, same in found.items()
    }


def _responses(several: Sequence[Mapping[str, Described]]) -> dict[str, Described]:
    merged = {}
    for code in sorted({code for each in several for code in each}):
        same = [each[code] for each in several if code in each]
        content = _contents(same)
        merged[code] = {"description": same[0]["description"], **({"content": content} if content else {})}
    return merged


def _unique(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
