"""What hosting is made of, part by part."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from math import exp, log1p
from pathlib import Path

import pytest

from tetrapylon.apps import folder
from tetrapylon.apps.growth import Grown, Growth
from tetrapylon.apps.inside import unproxied
from tetrapylon.apps.output import Output
from tetrapylon.apps.recognise import kind_of
from tetrapylon.errors import TetrapylonError


class TestFolder:
    def test_it_is_this_users_alone(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(run))
        made = folder.Folder()
        assert Path(made.path).parent == run
        assert Path(made.path).stat().st_mode & 0o777 == 0o700
        made.close()
        assert list(run.iterdir()) == []

    def test_what_a_killed_gateway_left_goes_and_what_is_in_use_stays(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(run))
        monkeypatch.setattr(folder, "FRESH", -1.0)
        used = folder.Folder()
        (run / "tetrapylon-apps-dead").mkdir()
        (run / "tetrapylon-apps-dead" / "1").touch()
        (run / "mine").mkdir()
        (run / "tetrapylon-apps-link").symlink_to(run / "mine")
        another = folder.Folder()
        assert {each.name for each in run.iterdir()} == {
            Path(used.path).name,
            Path(another.path).name,
            "mine",
            "tetrapylon-apps-link",
        }
        used.close()
        another.close()

    def test_a_directory_that_cannot_be_looked_through_is_said_and_used(
        self, run: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """As where others may make files, and not see whose else there are. To root, nothing is forbidden."""
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(run))
        if os.geteuid():
            run.chmod(0o300)
        else:

            def refuse(path: str) -> None:
                raise PermissionError(errno.EACCES, "Permission denied", path)

            monkeypatch.setattr(os, "scandir", refuse)
        made = folder.Folder()
        monkeypatch.undo()
        run.chmod(0o700)
        assert f"{run} cannot be looked through for the sockets of apps" in (said := capfd.readouterr().err)
        assert "Permission denied; those stay there" in said
        assert Path(made.path).is_dir()
        made.close()

    def test_where_none_can_be_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RUNTIME_DIRECTORY", "/nowhere/at/all")
        with pytest.raises(TetrapylonError, match="cannot be made: No such file or directory; set RUNTIME_"):
            folder.Folder()


@pytest.mark.parametrize(
    ("forwarded_for", "via", "peer", "before", "earlier"),
    [
        ("192.0.2.1", "1.1 us", "192.0.2.1", "", ""),
        ("203.0.113.9, 192.0.2.1", "1.0 edge, 1.1 us", "192.0.2.1", "203.0.113.9", "1.0 edge"),
        ("203.0.113.9,192.0.2.7, ::1", "1.1 us", "::1", "203.0.113.9,192.0.2.7", ""),
        ("unix:", "1.1 us", "", "", ""),
    ],
)
def test_what_the_fields_said_before_the_gateway(
    forwarded_for: str, via: str, peer: str, before: str, earlier: str
) -> None:
    chain = unproxied(forwarded_for, "https", via)
    assert (chain.peer, chain.before, chain.via, chain.proxied) == (peer, before, earlier, bool(before))
    assert chain.scheme == "https"


async def modern(scope: object, receive: object, send: object) -> None: ...


class Callable3:
    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


class Classic:
    def __call__(self, environ: object, start_response: object) -> list[bytes]:
        return []


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        (modern, "asgi"),
        (Callable3(), "asgi"),
        (Callable3().__call__, "asgi"),
        (Classic(), "wsgi"),
        (len, "wsgi"),
    ],
)
def test_an_app_is_recognised(app: Callable[..., object], kind: str) -> None:
    assert kind_of(app) == kind


class TestOutput:
    @pytest.fixture
    def lines(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        found: list[str] = []
        monkeypatch.setattr("tetrapylon.apps.output.pass_on", lambda level, text, **_: found.append(text))
        monkeypatch.setattr(
            "tetrapylon.apps.output.say", lambda level, text, **_: found.append(f"{level} {text}")
        )
        return found

    def test_lines_come_as_they_are_finished(self, lines: list[str]) -> None:
        heard, said = os.pipe()
        output = Output("shop", heard, 10)
        os.write(said, b"one\ntw")
        output.hear(1.0)
        assert lines == ["app shop: one"]
        os.write(said, b"o\n\nthree")
        output.hear(2.0)
        os.close(said)
        while output.hear(3.0):
            pass
        assert lines == ["app shop: one", "app shop: two", "app shop: three"]
        assert output.descriptor == -1

    def test_many_tracebacks_are_told_though_all_are_in_the_log(self, lines: list[str]) -> None:
        """With errors of any name; and what a group of them says is no line of its own."""
        heard, said = os.pipe()
        output = Output("shop", heard, 1000)
        os.write(
            said, b"Traceback (most recent call last):\n  File\nshop.OutOfStock: sku 7\nINFO: fine\n" * 10
        )
        os.write(said, b"  + Exception Group Traceback (most recent call last):\n  | File\nINFO: fine\n")
        output.hear(100.0)
        assert len(lines) == 43
        output.tick(111.0)
        assert lines[43:] == [
            "warning app shop said 43 lines in 10 s, 11 tracebacks among them, the last of shop.OutOfStock:"
            " sku 7"
        ]
        assert (output.last_error, output.error_at) == ("shop.OutOfStock: sku 7", 100.0)
        os.close(said)
        output.close()

    def test_what_is_too_much_is_counted_with_what_it_was(self, lines: list[str]) -> None:
        heard, said = os.pipe()
        output = Output("shop", heard, 1)  # ten in ten seconds
        os.write(said, b"Traceback (most recent call last):\n  File\nKeyError: 'sku'\n" * 5)
        output.hear(100.0)
        assert len(lines) == 10
        output.tick(111.0)
        assert lines[10:] == [
            "warning app shop said 15 lines in 10 s, 5 tracebacks among them, the last of KeyError: 'sku';"
            " 5 of them were left out (`log_lines`)"
        ]
        os.write(said, b"again\n")
        output.hear(112.0)
        assert lines[-1] == "app shop: again"
        os.close(said)
        output.close()


class TestGrowth:
    """A day of a process that is looked at each time it is due, by curves with noise on them."""

    MIB = 2**20

    def day(
        self, curve: Callable[[float], float], seed: int, warmup: float = 600.0
    ) -> tuple[float, Grown] | None:
        """After how many hours it is named."""
        drawn = random.Random(seed)
        growth = Growth(0.0, warmup)
        while growth.due < 24 * 3600:
            now = growth.due + drawn.random()
            grown = growth.see(now, int(curve(now / 3600) * self.MIB * (1 + abs(drawn.gauss(0, 0.01)))))
            if grown is not None:
                return now / 3600, grown
        return None

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize(
        "curve",
        {
            "flat": lambda t: 100,
            "warm after minutes": lambda t: 60 + 400 * (1 - exp(-t / 0.1)),
            "warm after half an hour": lambda t: 60 + 200 * (1 - exp(-t / 0.5)),
            "models loaded one after the other": lambda t: 60 + 2000 * min(1.0, t * 6),
            "a cache that is full after half an hour": lambda t: 80 + 1000 * min(1.0, t * 2),
            "a small cache that fills all day": lambda t: 80 + 70 * t / 24,
            "jumps by large requests": lambda t: 80 + 60 * sum(t > at for at in (1, 3, 7, 8, 15)),
            "a collection each quarter of an hour": lambda t: 200 + 300 * ((t * 4) % 1),
            "fragmentation": lambda t: 80 + 60 * log1p(t * 6),
            "busy and idle hours": lambda t: 100 + 80 * (t % 4 > 2),
        }.items(),
        ids=lambda curve: curve[0],
    )
    def test_what_comes_to_an_end_is_no_leak(
        self, curve: tuple[str, Callable[[float], float]], seed: int
    ) -> None:
        assert self.day(curve[1], seed) is None

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize(
        ("an_hour", "latest"), [(10_000, 0.7), (1_000, 0.7), (100, 1.5), (20, 6.0), (5, 20.0)]
    )
    def test_a_leak_is_named_once_it_has_doubled_the_process(
        self, an_hour: int, latest: float, seed: int
    ) -> None:
        named = self.day(lambda t: 80 + an_hour * t, seed)
        assert named is not None
        hours, grown = named
        assert hours < latest
        assert grown.after >= 2 * grown.before
        rate = (grown.after - grown.before) / self.MIB / grown.seconds * 3600
        assert rate == pytest.approx(an_hour, rel=0.1)

    @pytest.mark.parametrize("seed", range(5))
    def test_a_leak_by_day_alone_under_a_collection_is_named(self, seed: int) -> None:
        def curve(t: float) -> float:
            return 80 + 50 * min(t % 24, 10.0) + 30 * ((t * 20) % 1)

        assert self.day(curve, seed) is not None

    def test_it_is_said_with_its_numbers(self) -> None:
        told = str(Grown(90 * self.MIB, 1290 * self.MIB, 5400.0))
        assert (
            told == "its memory has grown from 90 MiB to 1,290 MiB in 90 min and grows on, by 800 MiB an hour"
        )
