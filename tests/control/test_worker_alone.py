"""`python -m tetrapylon.worker CONFIG`: one process, no supervisor, for profilers."""

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control.running import children

CONFIG = (
    'server: {listen: ["127.0.0.1:0"]}\nlog: {access: none}\nroutes: [{path: /, respond: {body: hello}}]\n'
)


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tetrapylon.worker", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_in_one_process_until_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    with start(str(path)) as process:
        assert process.stderr is not None
        try:
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", process.stderr.readline())
            assert found
            client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello"
            client.close()
            assert children(process.pid) == []
        finally:
            process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "told"), [((), "usage: "), (("absent.yaml",), "absent.yaml: no such file")]
)
def test_bad_usage_is_told_without_a_traceback(arguments: tuple[str, ...], told: str) -> None:
    with start(*arguments) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert told in errors
    assert "Traceback" not in errors
