"""Logs as they really are: their formats, what they are compressed with, and what is broken in them."""

import bz2
import gzip
import json
import lzma
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.assess.simulate import STYLES, System, combined, constant, gunicorn, nginx, own, uniform
from tetrapylon.assess import assess
from tetrapylon.assess.logs.formats import ABSENT, Line, compile_format
from tetrapylon.assess.logs.reading import Reading
from tetrapylon.assess.logs.times import NONE
from tetrapylon.cli import main
from tetrapylon.errors import TetrapylonError, UsageError

STEADY = System(uniform(6, 8), uniform(28, 32))
WHEN = "30/Nov/2026:10:00:00 +0100"
START = f'10.0.0.7 - - [{WHEN}] "GET / HTTP/1.1" 200 203'
AGENTS = '"-" "curl/8"'
NINE = 1_796_029_200.0

Write = Callable[..., str]


@pytest.fixture
def log(tmp_path: Path) -> Write:
    def write(*lines: str, name: str = "access.log") -> str:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    return write


def read(path: str, given: str | None = None) -> tuple[Reading, list[Line]]:
    reading = Reading([path], None if given is None else compile_format(given))
    return reading, list(reading)


def lines_of(style: Callable[[float, float, float], str], count: int = 300, seed: int = 1) -> list[str]:
    return [style(*request) for request in STEADY.requests(count, seed)]


# ---- formats that are found out

FOUND = {
    "nginx, times by place": (f"{START} {AGENTS} 0.037 0.030", 37_000, 30_000),
    "the other order of quotes": (f'{START} {AGENTS} "0.037" "0.030"', 37_000, 30_000),
    "whole time alone": (f"{START} {AGENTS} 0.037", 37_000, ABSENT),
    "no upstream": (f"{START} {AGENTS} 0.037 -", 37_000, NONE),
    "two tried in turn": (f"{START} {AGENTS} 0.037 0.010, 0.020", 37_000, 30_000),
    "an internal redirect": (f"{START} {AGENTS} 0.037 0.010 : 0.020", 37_000, 30_000),
    "one not reached, then two": (f"{START} {AGENTS} 0.037 -, 0.010 : 0.020", 37_000, 30_000),
    "labels": (f'{START} {AGENTS} rt=0.037 uct="0.000" uht="0.029" urt="0.030"', 37_000, 30_000),
    "labels, two upstreams": (f'{START} {AGENTS} urt="0.010, 0.020" rt=0.037', 37_000, 30_000),
    "labels without agents": (f"{START} rt=0.037 urt=0.030", 37_000, 30_000),
    "this gateway's, without what the client took": (
        '{"time":"2026-11-30T09:00:00.000Z","status":200,"duration_us":937000,"gateway_us":7000,'
        '"upstream_us":30000,"client_us":900000,"upstream":"10.0.0.5:9001"}',
        37_000,
        30_000,
    ),
    "a team's own field": (f"{START} {AGENTS} 0.037123 upstream_us=30456", 37_123, 30_456),
    "gunicorn's %(D)s beside it": (f"{START} {AGENTS} 37123 upstream_us=30456", 37_123, 30_456),
    "gunicorn's %(L)s": (f"{START} {AGENTS} 0.037123", 37_123, ABSENT),
    "combined": (f"{START} {AGENTS}", ABSENT, ABSENT),
    "common": (START, ABSENT, ABSENT),
    "a quote in the agent": (rf'{START} "-" "a \"b\" c" 0.037 0.030', 37_000, 30_000),
    "a number of no known unit": (f"{START} {AGENTS} 37123", ABSENT, ABSENT),
    "a user's name with a space": (
        f"{START.replace('- -', '- a b')} {AGENTS} 0.037 0.030",
        37_000,
        30_000,
    ),
    "a user's name that looks like a time": (
        f"{START.replace('- -', f'- a [{WHEN}] 200')} {AGENTS} 0.037 0.030",
        37_000,
        30_000,
    ),
    "json of nginx's": (
        '{"time_local":"' + WHEN + '","status":"200","request_time":"0.037",'
        '"upstream_response_time":"0.010, 0.020"}',
        37_000,
        30_000,
    ),
    "json, no upstream": (
        '{"time_iso8601":"2026-11-30T10:00:00+01:00","status":200,"request_time":0.037,'
        '"upstream_response_time":"-"}',
        37_000,
        NONE,
    ),
    "this gateway's own": (
        '{"time":"2026-11-30T09:00:00.000Z","status":200,"duration_us":37000,"gateway_us":7000,'
        '"upstream_us":30000,"upstream":"127.0.0.1:9001"}',
        37_000,
        30_000,
    ),
    "this gateway's own, with a slow client": (
        '{"time":"2026-11-30T09:00:00.000Z","status":200,"duration_us":99000,"gateway_us":7000,'
        '"upstream_us":30000,"client_us":62000,"upstream":"127.0.0.1:9001"}',
        37_000,
        30_000,
    ),
    "this gateway's own answer": (
        '{"time":"2026-11-30T09:00:00.000Z","status":404,"duration_us":37,"gateway_us":37,"upstream_us":0}',
        37,
        NONE,
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_format_is_found_out(log: Write, case: str) -> None:
    line, total, upstream = FOUND[case]
    reading, found = read(log(*[line] * 3))
    assert [(each.moment, each.total, each.upstream) for each in found] == [(NINE, total, upstream)] * 3
    assert reading.broken == 0


GIVEN = {
    "nginx's own order": (
        "$upstream_response_time|$request_time|$msec|$status",
        "0.010, 0.020|0.037|1796029200.000|200",
        37_000,
        30_000,
    ),
    "nginx with braces": (
        "${time_iso8601} ${request_time}s ${upstream_response_time}",
        "2026-11-30T10:00:00+01:00 0.037s 0.030",
        37_000,
        30_000,
    ),
    "nginx's addresses of several upstreams": (
        "$upstream_addr [$time_local] $status $request_time $upstream_response_time",
        f"10.0.0.1:80, 10.0.0.2:80 [{WHEN}] 200 0.037 0.010, 0.020",
        37_000,
        30_000,
    ),
    "gunicorn": ("gunicorn", f"{START} {AGENTS} 37123", 37_123, ABSENT),
    "gunicorn by the millisecond": ('%(h)s %(t)s "%(r)s" %(M)s', f'::1 [{WHEN}] "GET /" 37', 37_000, ABSENT),
    "gunicorn, the finer of two": ("%(t)s %(T)s %(D)s", f"[{WHEN}] 0 37123", 37_123, ABSENT),
    "gunicorn with the app's own": (
        "%(t)s %(D)s %({upstream_ms}e)s",
        f"[{WHEN}] 37123 30",
        37_123,
        30_000,
    ),
    "Apache": ("apache", f"{START} {AGENTS} 37123", 37_123, ABSENT),
    "Apache by the millisecond": ("%h %t %{ms}T", f"::1 [{WHEN}] 37", 37_000, ABSENT),
    "decimal commas": (
        "[$time_local] $request_time $upstream_response_time",
        f"[{WHEN}] 0,037 0,030",
        37_000,
        30_000,
    ),
}


@pytest.mark.parametrize("case", GIVEN)
def test_format_is_given(log: Write, case: str) -> None:
    form, line, total, upstream = GIVEN[case]
    reading, found = read(log(line), form)
    assert [(each.moment, each.total, each.upstream) for each in found] == [(NINE, total, upstream)]
    assert reading.broken == 0


def test_dash_for_the_whole_time_is_no_time(log: Write) -> None:
    _, found = read(log(f"[{WHEN}] - -"), "[$time_local] $request_time $upstream_response_time")
    assert [(each.total, each.upstream) for each in found] == [(ABSENT, NONE)]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("nonsense", "no variable in 'nonsense'; expected a format or one of combined, nginx"),
        ("$request_time$status", "nothing stands between $request_time and $status"),
    ],
)
def test_format_that_cannot_be_read_is_refused(form: str, said: str) -> None:
    with pytest.raises(UsageError, match="--log-format") as refused:
        compile_format(form)
    assert said in str(refused.value)


# ---- what is broken

BROKEN = [
    "",
    "\0" * 200,
    START[:40],
    f"{START} {AGENTS} 0.037 0.0x0",
    f"{START} {AGENTS} -1.000 0.030",
    START.replace("30/Nov", "31/Nov") + f" {AGENTS} 0.037 0.030",
    START.replace("Nov", "Nox") + f" {AGENTS} 0.037 0.030",
    START.replace("2026", "0001") + f" {AGENTS} 0.037 0.030",
    f"{START} {AGENTS} 99999999.000 0.030",
    f"{START} {AGENTS} {'9' * 400}.000 0.030",
    f"{START} {AGENTS} 0.037 {'9' * 400}.000",
    '{"a":' * 12_000,
    '{"time":"2026-11-30T09:00:00.000Z","status":200,"duration_us":9e18,"gateway_us":1,"upstream_us":1}',
    '{"time":"2026-11-30T09:00:00.000Z","status":123456,"duration_us":9,"gateway_us":1,"upstream_us":1}',
    '{"time":"2026-11-30T09:00:00.000Z","status":1e300,"request_time":0.037}',
    f'{START} "{chr(92) + chr(34)}' * 1000,
    "\N{SNOWMAN}" * 30_000,
]


def test_broken_lines_are_counted_and_skipped_and_said(log: Write) -> None:
    good = lines_of(nginx, 2000)
    path = log(*good[:1000], *BROKEN, *good[1000:])
    told = assess([path])
    assert told.log is not None
    assert told.split is not None
    assert (told.log.requests, told.log.broken) == (2000, len(BROKEN) - 1)  # the empty one is no line
    assert told.log.broken_at == [f"{path}:{number}" for number in (1002, 1003, 1004)]
    clean = assess([log(*good, name="clean.log")])
    assert told.split == clean.split


def test_line_of_any_length_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"x" * 3_000_000 + b"\n" + "\n".join(lines_of(nginx)).encode())
    reading, found = read(str(path))
    assert (reading.broken, len(found)) == (1, 300)


def test_last_line_without_an_end_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("\n".join(lines_of(nginx)))
    assert len(read(str(path))[1]) == 300


def test_several_formats_in_one_file_are_each_read(log: Write) -> None:
    reading, found = read(log(*lines_of(combined, 700), *lines_of(nginx, 700), *lines_of(own, 700)))
    assert (len(found), reading.broken) == (2100, 0)
    assert sorted(reading.counts.values()) == [700, 700, 700]


def test_lines_without_times_among_others_are_said(log: Write) -> None:
    told = assess([log(*lines_of(combined, 700), *lines_of(nginx, 2000))])
    assert told.log is not None
    assert told.log.without_times == 700
    assert told.split is not None
    assert told.split.requests == 2000
    assert told.split.cannot_tell == ""


def test_bytes_that_are_no_utf8_break_no_line(tmp_path: Path) -> None:
    """What clients send is in nginx's JSON as it came."""
    path = tmp_path / "access.log"
    lines = [
        line.replace('"status"', '"agent":"ÿ","status"').encode("latin-1")
        for line in lines_of(STYLES["nginx-json"])
    ]
    path.write_bytes(b"\n".join(lines))
    reading, found = read(str(path))
    assert (len(found), reading.broken) == (300, 0)


def test_hostile_line_takes_no_time(log: Write) -> None:
    """Of the length that a line may have at most."""
    lists = '$upstream_addr $upstream_status [$time_local] "$request" $request_time $upstream_response_time'
    quotes = f'{START} "' + r"\"" * 30_000
    lines = [quotes, "1.1.1.1:80, " * 5_000, "- : " * 16_000, '" ' * 32_000]
    began = time.process_time()
    for form in (lists, None):
        reading, _ = read(log(*lines), form)
        assert reading.broken == len(lines)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, lzma.compress])
def test_compressed_logs_are_read_whatever_their_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "access.log.1"
    path.write_bytes(pack("\n".join(lines_of(nginx)).encode()))
    assert len(read(str(path))[1]) == 300


def test_compressed_log_that_ends_early_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "access.log.gz"
    packed = gzip.compress("\n".join(lines_of(nginx, 3000)).encode())
    path.write_bytes(packed[: len(packed) // 2])
    told = assess([str(path)])
    assert told.log is not None
    assert 1000 < told.log.requests < 3000
    assert "is damaged" in told.log.notes[0]


def test_compressed_log_that_is_damaged_is_read_up_to_there(tmp_path: Path, log: Write) -> None:
    packed = bytearray(bz2.compress("\n".join(lines_of(nginx, 30_000)).encode()))
    packed[len(packed) * 9 // 10] ^= 0xFF
    path = tmp_path / "access.log.1.bz2"
    path.write_bytes(packed)
    told = assess([str(path), log(*lines_of(nginx))])
    assert told.log is not None
    assert told.log.requests > 300
    assert "is damaged" in told.log.notes[0]


def test_zstd_is_named(tmp_path: Path) -> None:
    path = tmp_path / "access.log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" * 100)
    with pytest.raises(UsageError, match="zstdcat"):
        read(str(path))


def test_clock_that_goes_back_is_said_and_costs_no_line(log: Write) -> None:
    lines = lines_of(nginx, 2000)
    late = [line.replace("/2025:", "/2024:") for line in lines[1000:]]
    told = assess([log(*lines[:1000], *late)])
    assert told.log is not None
    assert told.split is not None
    assert (told.log.clock_jumps, told.split.requests) == (1, 2000)


def test_files_are_no_clock_jump_in_any_order(log: Write) -> None:
    lines = lines_of(nginx, 4000)
    old, new = log(*lines[:2000], name="a"), log(*lines[2000:], name="b")
    told = assess([new, old])
    assert told.log is not None
    assert (told.log.clock_jumps, told.log.requests) == (0, 4000)


def test_short_file_before_a_rotated_one_is_no_clock_jump(log: Write) -> None:
    """As when logs were rotated a moment ago."""
    lines = lines_of(nginx, 2100)
    old, new = log(*lines[:2000], name="access.log.1"), log(*lines[2000:], name="access.log")
    told = assess([new, old])
    assert told.log is not None
    assert (told.log.clock_jumps, told.log.requests) == (0, 2100)


def test_files_of_few_lines_are_read_whatever_their_formats(log: Write) -> None:
    paths = [log(*lines_of(style, 20), name=name) for name, style in STYLES.items()]
    told = assess(paths)
    assert told.log is not None
    assert (told.log.requests, told.log.broken) == (20 * len(STYLES), 0)


def test_coarser_clock_of_a_later_file_is_allowed_for(log: Write) -> None:
    """By a clock of 1 ms an upstream may seem to take longer than the whole."""
    fine, coarse = log(*lines_of(own, 600), name="own"), log(*[f"{START} {AGENTS} 0.030 0.031"] * 600)
    told = assess([fine, coarse])
    assert told.log is not None
    assert told.log.impossible == 0


def test_file_whose_name_is_no_utf8_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/access\xff.log")
    Path(path).write_text("\n".join(lines_of(nginx)))
    assert main(["assess", "--format", "json", path]) == 0
    assert json.loads(capsys.readouterr().out)["log"]["files"] == [f"{tmp_path}/access\ufffd.log"]


def test_name_of_a_file_does_nothing_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "access\x1b[2J.log"
    path.write_text("")
    assert main(["assess", str(path)]) == 1
    path.write_text("one\n")
    assert main(["assess", str(path)]) == 2
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err


def test_times_that_contradict_each_other_are_no_basis(log: Write) -> None:
    told = assess([log(*lines_of(nginx, 1000))], log_format="nginx")
    swapped = assess(
        [log(*lines_of(nginx, 1000))],
        log_format='$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
        '"$http_referer" "$http_user_agent" $upstream_response_time $request_time',
    )
    assert told.split is not None
    assert told.split.cannot_tell == ""
    assert swapped.split is not None
    assert "longer than the whole" in swapped.split.cannot_tell
    assert "--log-format" in swapped.split.do


def test_empty_log_is_an_error_of_its_own(log: Write) -> None:
    with pytest.raises(TetrapylonError, match="there is no request in it") as found:
        assess([log()])
    assert not isinstance(found.value, UsageError)


def test_unknown_format_is_refused_with_what_to_do(log: Write) -> None:
    path = log("one", "two")
    with pytest.raises(UsageError) as refused:
        assess([path])
    assert f"none of 2 lines is in a format that is known (the first: {path}:1)" in str(refused.value)
    assert "--log-format" in str(refused.value)


def test_lines_that_this_gateway_dropped_are_said(log: Write) -> None:
    lines = [*lines_of(own), '{"time":"2026-11-30T09:00:00.000Z","dropped":17}']
    told = assess([log(*lines)])
    assert told.log is not None
    assert (told.log.requests, told.log.dropped, told.log.broken) == (300, 17, 0)


def test_what_is_no_exchange_is_left_out_of_the_share(log: Write) -> None:
    upgraded = own(NINE, 900_000.0, 899_000.0).replace('"status":200', '"status":101')
    given_up = own(NINE, 900_000.0, 1.0).replace('"status":200', '"status":499')
    plain, odd = log(*lines_of(own, 2000)), log(*lines_of(own, 2000), *[upgraded, given_up] * 200, name="odd")
    told = assess([odd])
    assert told.log is not None
    assert (told.log.upgraded, told.log.closed_by_client) == (200, 200)
    assert told.split == assess([plain]).split


def test_every_style_of_the_simulator_is_read(log: Write) -> None:
    for name, style in STYLES.items():
        reading, found = read(log(*lines_of(style), name=name))
        assert (len(found), reading.broken) == (300, 0)
        assert all(each.upstream > 0 for each in found)
    given, found = read(log(*lines_of(gunicorn)), "gunicorn")
    assert (len(found), given.broken) == (300, 0)


def test_constant_times_are_told_apart_from_the_clock(log: Write) -> None:
    """31.3 ms by a clock of 1 ms: 31 in seven of ten lines, 32 in the others."""
    system = System(constant(1.3), constant(30.0))
    told = assess([log(*[nginx(*request) for request in system.requests(4000, 3)])])
    assert told.split is not None
    median = told.split.quantiles[0]
    assert median.win is not None
    assert median.win.low <= 1.3 <= median.win.high
    assert median.win.high - median.win.low < 1.2
