"""What a path is before it is matched and forwarded."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tetrapylon._core.routing.path import BadPath, normalise_path

UNRESERVED = string.ascii_letters + string.digits + "-._~"
ALLOWED = UNRESERVED + "!$&'()*+,;=:@/"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a",
        "/a/",
        "/a/b.c/d~e",
        "/.well-known/x",
        "/...",
        "/..a/b",
        "/a;v=1/b",
        "/a%2Fb",
        "/%C3%A9",
        "/a:b@c",
    ],
)
def test_a_normal_path_is_left_alone(path: str) -> None:
    assert normalise_path(path) == path


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        # RFC 3986 5.2.4, never above the root
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/..", "/"),
        ("/../../etc/passwd", "/etc/passwd"),
        # dots in disguise
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e", "/a/"),
        # but decoded once only, and never across an encoded slash
        ("/a/%252e%252e/b", "/a/%252e%252e/b"),
        ("/a/..%2f..%2fb", "/a/..%2F..%2Fb"),
        ("/a/..%5c../b", "/a/..%5C../b"),
        # unreserved characters are decoded, others keep their escape
        ("/%7Euser/%61bc", "/~user/abc"),
        ("/a%2fb", "/a%2Fb"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%3b%3D", "/%3B%3D"),
        ("/%0a%1f%7f", "/%0A%1F%7F"),
        # repeated slashes, merged before dots are resolved
        ("//admin", "/admin"),
        ("/a///b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/a//%2e%2e//b", "/b"),
        # what clients send raw and a path cannot hold
        ("/a|b", "/a%7Cb"),
        ('/<"^`{}[]>', "/%3C%22%5E%60%7B%7D%5B%5D%3E"),
        ("/é", "/%C3%A9"),
        (b"/\xff", "/%FF"),
    ],
)
def test_every_path_has_one_spelling(raw: str | bytes, normal: str) -> None:
    assert normalise_path(raw) == normal


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "does not start with '/'"),
        ("a/b", "does not start with '/'"),
        ("*", "does not start with '/'"),
        ("/%", "two hexadecimal digits"),
        ("/a%2", "two hexadecimal digits"),
        ("/%zz/", "two hexadecimal digits"),
        ("/%2/", "two hexadecimal digits"),
        ("/%00", "NUL"),
        ("/a\0", "NUL"),
        ("/a b", "space"),
        ("/a\tb", "control character"),
        ("/a\x7f", "control character"),
        ("/a#b", "'#'"),
        ("/a?b", "'?'"),
        ("/a\\b", "backslash"),
        ("/a/..;/b", "';' parameters"),
        ("/a/%2e%2e;x=1", "';' parameters"),
        ("/.;x/a", "';' parameters"),
    ],
)
def test_an_ambiguous_path_is_refused(raw: str, reason: str) -> None:
    with pytest.raises(BadPath, match=re.escape(reason)) as caught:
        normalise_path(raw)
    assert caught.value.path == raw


def model(raw: bytes) -> str | None:
    """The same in plain steps, one rule after the other; None for a path that is refused."""
    if not raw.startswith(b"/") or re.search(rb"%(?![0-9A-Fa-f]{2})|%00|[\x00-\x20\x7f?#\\]", raw):
        return None

    def escape(found: re.Match[bytes]) -> bytes:
        byte = bytes([int(found[1], 16)]) if found[1] else found[0]
        keep = UNRESERVED if found[1] else ALLOWED
        return byte if byte.decode("latin-1") in keep else b"%%%02X" % byte[0]

    text = re.sub(rb"%(..)|[^%]", escape, raw, flags=re.DOTALL).decode("ascii")
    *segments, last = re.sub("/+", "/", text)[1:].split("/")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        kept = kept[:-1]
    if any(re.match(r"\.\.?;", segment) for segment in [*segments, last]):
        return None
    return "/" + "/".join([*kept, "" if last in (".", "..") else last])


PIECES = rb"/ / // . .. a bc ~ ; : %2e %2F %2f %5c %41 % %0 %00 %25 %c3%a9 | \ ?".split()
pieces = st.sampled_from([*PIECES, "é".encode(), b"\xff", b" ", b"\0"])
paths = st.one_of(st.lists(pieces).map(b"".join), st.binary(max_size=20)).map(lambda rest: b"/" + rest)


@given(paths)
@example(b"/a/b/../")
@example(b"/..;")
def test_agrees_with_the_rules_written_out(raw: bytes) -> None:
    expected = model(raw)
    if expected is None:
        with pytest.raises(BadPath):
            normalise_path(raw)
    else:
        assert normalise_path(raw) == expected


@given(paths)
def test_a_normalised_path_is_normal(raw: bytes) -> None:
    try:
        normal = normalise_path(raw)
    except BadPath:
        return
    assert normalise_path(normal) == normal
    assert "//" not in normal
    assert not {".", ".."} & set(normal.split("/"))
