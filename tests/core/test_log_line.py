"""What a line of the access log says, in either format, and what it leaves out."""

import json
import os
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapylon._core.telemetry.log import AccessLog
from tetrapylon._core.telemetry.log_line import LineFormat
from tetrapylon.config.secrets import QUERY


def line(format: LineFormat | None = None, **fields: Any) -> str:
    reader, writer = os.pipe()
    log = AccessLog(writer, format=format)
    log.log(**fields)
    log.close()
    with open(reader, "rb") as stream:
        os.close(writer)
        return stream.read().decode()


def logged(target: str, *names: str, field: str = "target") -> str:
    format = LineFormat(secret_parameters=names or QUERY)
    text: str = json.loads(line(format, **{field: target}))[field]
    return text


def test_who_it_is_from_and_why_it_was_refused() -> None:
    found = json.loads(line(status=403, consumer="mobile", error="not_allowed", failed=True))
    assert (found["consumer"], found["error"]) == ("mobile", "not_allowed")


def test_how_often_it_was_tried_again_is_told_where_it_was() -> None:
    assert json.loads(line(upstream="10.0.0.5:9001", resend_count=2))["resend_count"] == 2
    assert "resend_count" not in json.loads(line(upstream="10.0.0.5:9001"))


def test_the_combined_format() -> None:
    text = line(
        LineFormat("combined", secret_parameters=QUERY),
        time_ns=1_767_323_045_678_901_234,
        client="203.0.113.7",
        consumer="mobile",
        method="GET",
        target="/a?token=x&b=1",
        protocol="HTTP/1.1",
        status=404,
        bytes_out=512,
        referer='https://example.com/"\x1b[31m',
        user_agent="curl/8",
    )
    assert text == (
        '203.0.113.7 - mobile [02/Jan/2026:03:04:05 +0000] "GET /a?token=***&b=1 HTTP/1.1" 404 512'
        ' "https://example.com/\\x22\\x1B[31m" "curl/8"\n'
    )


def test_the_combined_format_has_a_dash_for_what_is_not_known() -> None:
    text = line(LineFormat("combined"), status=400)
    assert re.fullmatch(r'- - - \[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:]{8} \+0000\] "- - -" 400 0 "-" "-"\n', text)


@given(st.binary(max_size=5000))
def test_a_combined_line_is_one_line_of_ascii(value: bytes) -> None:
    text = line(LineFormat("combined"), target=value, user_agent=value, referer=value, consumer=value)
    assert text.isascii()
    assert text.count("\n") == 1
    assert len(text) <= 4096
    assert text.count('"') == 6


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a?token=secret", "/a?token=***"),
        ("/a?x=1&access_token=secret&y=2", "/a?x=1&access_token=***&y=2"),
        ("/a?api-key=secret&API_KEY=secret", "/a?api-key=***&API_KEY=***"),
        ("/a?t%6Fken=secret;password=secret#f", "/a?t%6Fken=***;password=***#f"),
        ("/a?X-Amz-Signature=secret", "/a?X-Amz-Signature=***"),
        ("/a?token=secret=secret", "/a?token=***"),
        ("/a?token", "/a?token"),
        ("/a?token=", "/a?token="),
        ("/a?tokens=1&mytoken=2&=3", "/a?tokens=1&mytoken=2&=3"),
        ("/token=1", "/token=1"),
        ("/a", "/a"),
        ("/a?%=1&%6=2&%zz=3&" + 100 * "n" + "=4", "/a?%=1&%6=2&%zz=3&" + 100 * "n" + "=4"),
    ],
)
@pytest.mark.parametrize("field", ["target", "referer"])
def test_secret_parameters_are_left_out(target: str, shown: str, field: str) -> None:
    if field == "target" or "#" not in target:
        assert logged(target, field=field) == shown


def test_the_names_are_the_configs() -> None:
    assert logged("/?token=1&pin=2", "pin") == "/?token=1&pin=***"
    with pytest.raises(ValueError, match="secret_parameters"):
        LineFormat(secret_parameters=["x" * 64])


@given(
    st.lists(st.tuples(st.sampled_from(["token", "x", "API-Key", "p%61ssword"]), st.text("ab%=", max_size=9)))
)
def test_what_is_not_secret_is_unchanged(pairs: list[tuple[str, str]]) -> None:
    target = "/a?" + "&".join(f"{name}={value}" for name, value in pairs)
    shown = "/a?" + "&".join(f"{n}={'***' if v and n != 'x' else v}" for n, v in pairs)
    assert logged(target) == shown


def test_a_long_secret_leaves_room_for_the_rest() -> None:
    assert logged(f"/a?token={'s' * 9000}&last=1") == "/a?token=***&last=1"
    long = logged(f"/a?token=s&x={'y' * 9000}")
    assert long.startswith("/a?token=***&x=yyy")
    assert long.endswith("…")


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="style: expected json or combined, got 'xml'"):
        LineFormat("xml")  # type: ignore[arg-type]
