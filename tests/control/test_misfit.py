"""An httptools whose llhttp is not what the compiled plane was made for: said once, and served with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Gateway, Upstream, answers, proxy, request

# Runs first in every process: llhttp is looked for in a library that does not have it.
SITE = """
import httptools.parser.parser as parser
import msgspec._core
parser.__file__ = msgspec._core.__file__
"""
TOLD = "warning llhttp inside httptools does not export llhttp: reading messages by httptools' public API"


@pytest.fixture
def misfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of processes that the test starts."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("TETRAPYLON_PARSER", raising=False)


@pytest.mark.usefixtures("misfit")
def test_the_supervisor_says_it_once_for_all_workers() -> None:
    with Upstream(answers.echo) as upstream:
        config = proxy(upstream.url, server={"workers": 2}, admin={"listen": "127.0.0.1:0"})
        with Gateway(config) as gateway, gateway.client() as client:
            body = b"through the other parser"
            client.send(request("POST", "/a", body=body))
            assert answers.told(client.response().body)["body"] == body.decode()
            assert [TOLD in line for line in gateway.lines] == [True, False], gateway.lines


@pytest.mark.usefixtures("misfit")
def test_a_worker_alone_says_it(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text('server: {listen: ["127.0.0.1:0"]}\nroutes: [{path: /, respond: {}}]\n')
    command = [sys.executable, "-m", "tetrapylon.worker", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert TOLD in process.stderr.readline()
            assert "listening on" in process.stderr.readline()
        finally:
            process.kill()


@pytest.mark.usefixtures("misfit")
def test_an_embedding_program_hears_it() -> None:
    script = """
import asyncio, tetrapylon
loop = asyncio.new_event_loop()
config = tetrapylon.Config(routes=(tetrapylon.Route(path="/", respond=tetrapylon.Respond()),))
tetrapylon.embed(config, loop).close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.count(TOLD)) == (0, 1), done.stderr


def test_where_it_fits_nothing_is_said() -> None:
    with Gateway({"routes": [{"path": "/", "respond": {}}]}) as gateway:
        assert len(gateway.lines) == 1
