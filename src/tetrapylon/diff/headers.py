"""Header fields compared by what they mean to a client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tetrapylon.diff.answer import ABSENT, Answer, Difference

__all__ = ["charset", "coding", "differences", "media_type"]

LISTS = {
    "allow",
    "vary",
    "cache-control",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "content-language",
}
"""Fields that are lists whose order and case mean nothing (RFC 9110 sections 10.2.1 and 12.5.5, RFC 9111)."""


def differences(left: Answer, right: Answer, names: tuple[str, ...]) -> Iterator[Difference]:
    for name in names:
        if name == "set-cookie":
            yield from _cookies(left, right)
            continue
        old, new = (_meaning(name, each) for each in (left, right))
        if old != new:
            yield Difference(
                f"header {name}",
                "missing" if new is None else "extra" if old is None else "header",
                ABSENT if old is None else old,
                ABSENT if new is None else new,
            )


def _meaning(name: str, answer: Answer) -> str | None:
    values = answer.values(name)
    if not values:
        return None
    text = ", ".join(value.strip() for value in values)
    if name == "content-type":
        return _content_type(text)
    if name in LISTS:
        return ", ".join(sorted({part.strip().lower() for part in text.split(",") if part.strip()}))
    return text


def _parts(text: str) -> tuple[str, list[str]]:
    first, *rest = (part.strip() for part in text.split(";"))
    return first.lower(), [part for part in rest if part]


def media_type(answer: Answer) -> str:
    return _parts(answer.value("content-type"))[0]


def charset(answer: Answer) -> str:
    for part in _parts(answer.value("content-type"))[1]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def coding(answer: Answer) -> list[str]:
    """Content codings, outermost last."""
    return [
        part
        for each in answer.value("content-encoding").split(",")
        if (part := each.strip().lower()) and part != "identity"
    ]


def _content_type(text: str) -> str:
    kind, parameters = _parts(text)
    told = []
    for each in parameters:
        name, _, value = each.partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "charset":
            value = value.lower()
            if kind == "application/json" or kind.endswith("+json"):
                continue  # JSON is UTF-8 and has no such parameter (RFC 8259 section 11)
        told.append(f"{name}={value}")
    return "; ".join([kind, *sorted(told)])


def _cookies(left: Answer, right: Answer) -> Iterator[Difference]:
    old, new = _jar(left), _jar(right)
    for name in [*old, *(name for name in new if name not in old)]:
        where = f"header set-cookie {name}"
        if name not in new:
            yield Difference(where, "missing", old[name][0], ABSENT)
        elif name not in old:
            yield Difference(where, "extra", ABSENT, new[name][0])
        else:
            (value, attributes), (other, others) = old[name], new[name]
            if value != other:
                yield Difference(where, "header", value, other)
            for attribute in sorted(attributes.keys() | others.keys()):
                one, two = (_setting(attribute, each) for each in (attributes, others))
                if one != two:
                    yield Difference(
                        f"{where}; {attribute}",
                        "missing" if two is None else "extra" if one is None else "header",
                        ABSENT if one is None else one,
                        ABSENT if two is None else two,
                    )


def _setting(attribute: str, of: dict[str, str]) -> str | None:
    """Domain and SameSite have no case, and a domain's leading dot says nothing (RFC 6265 section 5.2.3)."""
    setting = of.get(attribute)
    if setting is None or attribute not in ("domain", "samesite"):
        return setting
    return setting.lower().removeprefix(".") if attribute == "domain" else setting.lower()


def _jar(answer: Answer) -> dict[str, tuple[str, dict[str, str]]]:
    """By name, and by path where a name is there twice: to a browser, these are two cookies."""
    cookies = []
    for line in answer.values("set-cookie"):
        pair, *rest = line.split(";")
        name, _, value = pair.partition("=")
        attributes = {}
        for each in rest:
            attribute, _, setting = each.partition("=")
            if attribute.strip():
                attributes[attribute.strip().lower()] = setting.strip()
        cookies.append((name.strip(), value.strip(), attributes))
    count = Counter(name for name, _, _ in cookies)
    return {
        f"{name} ({attributes.get('path', '')})" if count[name] > 1 else name: (value, attributes)
        for name, value, attributes in cookies
    }
