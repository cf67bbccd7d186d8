"""`tetrapylon assess` as people call it: what it prints, and its exit status."""

import json
from pathlib import Path

import pytest

from tests.assess.simulate import System, combined, nginx, uniform
from tests.cli.conftest import Run

SYSTEM = System(uniform(6.5, 7.5), uniform(29, 31))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("".join(f"{nginx(*each)}\n" for each in SYSTEM.requests(6000, 1)) + "broken\n")
    return path


def test_text_says_the_share_with_its_interval(tetrapylon: Run, log: Path) -> None:
    done = tetrapylon("assess", "access.log")
    assert (done.returncode, done.stderr) == (0, "")
    assert "access.log: 6,000 requests, 2025-12-01 00:00 to 2025-12-01 00:0" in done.stdout
    assert "1 broken line was skipped (access.log:6001)" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("  p50"))
    assert row.split()[1:3] == ["37", "ms"] or row.split()[1].startswith(("36.", "37."))
    assert "% to " in row


def test_json_says_the_same(tetrapylon: Run, log: Path) -> None:
    done = tetrapylon("assess", "access.log", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    share = told["split"]["quantiles"][0]["share"]
    assert share["low"] < 7 / 37 < share["high"]
    assert told["log"]["broken_at"] == ["access.log:6001"]


def test_standard_input_is_a_log(tmp_path: Path, log: Path) -> None:
    import subprocess

    from tests.cli.conftest import COMMAND

    with log.open("rb") as file:
        done = subprocess.run(
            [COMMAND, "assess", "-"], stdin=file, capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 0
    assert done.stdout.startswith("-: 6,000 requests")


def test_no_answer_is_an_answer(tetrapylon: Run, log: Path) -> None:
    log.write_text("".join(f"{combined(*each)}\n" for each in SYSTEM.requests(300, 1)))
    done = tetrapylon("assess", "access.log")
    assert done.returncode == 0
    assert "cannot tell from these logs: the log has no times" in done.stdout
    assert "to know: add $request_time and $upstream_response_time" in done.stdout


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("", ["access.log"], 1, "tetrapylon: access.log: there is no request in it\n"),
        ("what\n", ["access.log"], 2, "none of 1 lines is in a format that is known"),
        ("", ["nowhere.log"], 2, "tetrapylon: nowhere.log cannot be read: No such file or directory\n"),
        ("what\n", ["access.log", "--log-format", "nginx"], 2, "none of 1 lines fits --log-format nginx"),
        ("what\n", ["access.log", "--log-format", "what"], 2, "there is no variable in 'what'"),
        ("", [], 2, "nothing to look at; name an access log, or a repository with --repo"),
    ],
)
def test_bad_input_is_named(
    tetrapylon: Run, log: Path, text: str, arguments: list[str], code: int, said: str
) -> None:
    log.write_text(text)
    done = tetrapylon("assess", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_names_from_logs_do_nothing_to_a_terminal(tetrapylon: Run, tmp_path: Path, log: Path) -> None:
    log.rename(tmp_path / "a\x1b[31m.log")
    done = tetrapylon("assess", "a\x1b[31m.log")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "many"], "--workers: 'many' is not a whole number"),
        (["--workers", "1000000"], "--workers: 1000000 is out of range"),
        (["--workers", "0"], "--workers: 0 is out of range; expected 1 to 1,000"),
        (["--cores", "nan"], "--cores: nan is out of range"),
        (["--memory", "4"], "'4' is not a size"),
        (["--growth", "fast"], "--growth: 'fast' is no growth; expected one such as 8%/month"),
        (["--present", "kong"], "--present: 'kong' was not measured; expected one of tetrapylon"),
        (["--core-price", "-1"], "--core-price: -1 is out of range; expected 0 to 1,000,000,000,000"),
        (["--repo", "nowhere"], "--repo: nowhere is no folder"),
    ],
)
def test_bad_options_are_named(tetrapylon: Run, log: Path, arguments: list[str], said: str) -> None:
    done = tetrapylon("assess", "access.log", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_all_that_is_known_goes_into_the_verdict(tetrapylon: Run, log: Path) -> None:
    done = tetrapylon(
        *("assess", "access.log", "--present", "flask", "--workers", "4", "--threads", "8", "--cores", "4"),
        *("--memory", "4GiB", "--growth", "8%/month", "--core-price", "25", "--memory-price", "3"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "32 can be under way at once (as told)" in done.stdout
    assert "Verdict: leave it alone" in done.stdout
