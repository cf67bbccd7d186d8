"""What hosting is made of, part by part."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tetrapylon.apps import folder
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
