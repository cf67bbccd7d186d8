"""`tetrapylon replay`, with real services on both sides."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Upstream, answers
from tests.harness.upstream import Script
from tetrapylon.cli import main


def says(price: float, odd: float) -> Script:
    def answer(asked: Any) -> bytes:
        found = {
            "price": odd if asked.target == "/odd" else price,
            "at": f"2024-01-01T00:00:{time.time() % 50 + 10:02.6f}Z",
        }
        return answers.response(json.dumps(found).encode(), headers=[("Content-Type", "application/json")])

    return answers.each(answer)


def requests(path: Path, *lines: Any) -> str:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_differences_are_told_and_noise_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"target": f"/{n}", "route": "shop"} for n in range(20)]
    with Upstream(says(1, 2)) as old, Upstream(says(1.0, 3)) as new:
        sides = ["--against", old.url, "--compare", new.url, "--rate", "1000/s"]
        same = requests(tmp_path / "same.jsonl", *lines)
        assert main(["replay", same, *sides]) == 0
        assert "20 compared, 0 different" in capsys.readouterr().out
        odd = requests(tmp_path / "odd.jsonl", *lines, {"target": "/odd", "route": "shop"})
        assert main(["replay", odd, *sides]) == 1
        out = capsys.readouterr().out
        assert "21 compared, 1 different" in out
        assert "body price" in out


def test_broken_lines_are_skipped_and_unsafe_requests_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    post = {"method": "POST", "target": "/a", "body": "hello", "headers": [["X-A", "b"]]}
    file = requests(tmp_path / "r.jsonl", "{", {"target": "no path"}, post, {"target": "/a"})
    with Upstream(answers.named("same")) as old, Upstream(answers.named("same")) as new:
        sides = ["--against", old.url, "--compare", new.url]
        assert main(["replay", file, *sides]) == 0
        said = capsys.readouterr().err
        assert "2 broken lines were skipped (1, 2)" in said
        assert "1 requests that change something were left out" in said
        assert [each.method for each in new.requests] == ["GET"]
        assert main(["replay", file, *sides, "--unsafe"]) == 0
        (posted,) = [each for each in new.requests if each.method == "POST"]
        assert (posted.body, posted.headers.get("X-A")) == (b"hello", "b")


def test_a_service_that_is_away_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = requests(tmp_path / "r.jsonl", {"target": "/a"})
    with Upstream(answers.named("same")) as old:
        assert main(["replay", file, "--against", old.url, "--compare", "http://127.0.0.1:1"]) == 1
    assert "error" in capsys.readouterr().out


def test_where_the_service_that_is_right_does_not_answer_nothing_is_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = requests(tmp_path / "r.jsonl", {"target": "/a"}, {"target": "/b"})
    away = "http://127.0.0.1:1"
    assert main(["replay", file, "--against", away, "--compare", away]) == 1
    told = capsys.readouterr()
    assert f"2 requests could not be compared, for {away} had no answer to them: " in told.err
    assert "refused" in told.err
    assert "compared, 0 different" not in told.out


@pytest.mark.parametrize(
    "line",
    [
        {"target": "/a b"},
        {"target": "/a\r\nX: y"},
        {"target": "/", "method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"},
        {"target": "/", "headers": [["X: y\r\nA", "b"]]},
        {"target": "/", "headers": [["A", "b\r\nX: y"]]},
        {"target": "/", "headers": [["A", "\u20ac"]]},
    ],
    ids=str,
)
def test_what_is_no_request_of_http_is_a_broken_line(
    tmp_path: Path, line: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = requests(tmp_path / "r.jsonl", line, {"target": "/\xfc"})
    with Upstream(answers.named("same")) as old, Upstream(answers.named("same")) as new:
        assert main(["replay", file, "--against", old.url, "--compare", new.url]) == 0
        assert [each.target for each in new.requests] == ["/%FC"]
    assert "1 broken lines were skipped (1)" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{\n[1]\n"], ids=["empty", "broken"])
def test_a_file_without_a_request_is_no_proof(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(text)
    config = tmp_path / "gateway.yaml"
    config.write_text("routes: [{path: /ping, respond: {body: pong}}]")
    for verb in (
        ["replay", str(file), "--against", "http://127.0.0.1:1", "--compare", "http://127.0.0.1:1"],
        ["check", str(config), "--replay", str(file)],
    ):
        assert main(verb) == 2
        assert f"{file}: there is no request in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        ["--rate", "fast"],
        ["--rate", "0/s"],
        ["--again", "x"],
        ["--compare", "ftp://a"],
        ["--compare", "http://ann:secret@a"],
        ["-H", "a b: c"],
        ["-H", "a: b\r\nc: d"],
    ],
    ids=str,
)
def test_bad_usage_is_said(tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = requests(tmp_path / "r.jsonl", {"target": "/a"})
    assert main(["replay", file, "--against", "http://a", "--compare", "http://b", *more]) == 2
    assert main(["replay", str(tmp_path / "none"), "--against", "http://a", "--compare", "http://b"]) == 2
    assert "cannot be read" in capsys.readouterr().err
