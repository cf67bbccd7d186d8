"""What users write is checked by their type checkers as it runs: mypy --strict and pyright agree with us."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "shop"
WRONG = """\
import msgspec

from tetrapylon import Event, HTTPError, Outcome, Request, Response, Tetrapylon

app = Tetrapylon()


class Quote(msgspec.Struct):
    id: int


def quote(id: int) -> Quote:
    return Quote("seven")  # wrong


def refuse() -> None:
    raise HTTPError("404", "no such quote")  # wrong


def answer() -> Response:
    return Response({"a": 1}, status="201")  # wrong


def event() -> Event:
    return Event(data={}, retry="soon")  # wrong


class Plugin:
    def on_request(self, request: Request) -> Response | None:
        request.headers["X-Count"] = {"a": 1}  # wrong
        tenant: int = request.headers["X-Tenant"]  # wrong
        request.method = "PUT"  # wrong
        request.header["X"] = "a"  # wrong
        return Response(tenant)

    def on_response_head(self, request: Request, response: Response) -> None:
        response.status = "200"  # wrong
        kept: list[int] = request.query.getall("page")  # wrong
        print(kept)

    def on_end(self, request: Request, outcome: Outcome) -> None:
        late: str = outcome.seconds  # wrong
        print(late)


app.route("/quotes/{id:int}", methods="GET", run_in="elsewhere")(quote)  # wrong
"""


def mypy(*files: Path) -> dict[str, set[int]]:
    """The lines with errors, by file."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes"]
    done = subprocess.run(
        [*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""  # 1 says too that it is not installed
    found: dict[str, set[int]] = {}
    for line in done.stdout.splitlines():
        file, number, kind, *_ = line.split(":", 3)
        if kind.strip() == "error":
            found.setdefault(Path(file).name, set()).add(int(number))
    return found


def pyright(*files: Path) -> dict[str, set[int]]:
    """The lines with errors, by file."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert done.stdout, done.stderr
    found: dict[str, set[int]] = {}
    for each in msgspec.json.decode(done.stdout)["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            found.setdefault(Path(each["file"]).name, set()).add(line)
    return found


@pytest.mark.timeout(320)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_the_examples_pass(checker: Callable[..., dict[str, set[int]]]) -> None:
    assert checker(*sorted(EXAMPLES.glob("*.py"))) == {}


@pytest.mark.timeout(320)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_each_wrong_type_is_caught(checker: Callable[..., dict[str, set[int]]], tmp_path: Path) -> None:
    file = tmp_path / "wrong_types.py"
    file.write_text(WRONG)
    wrong = {number for number, line in enumerate(WRONG.splitlines(), 1) if "# wrong" in line}
    assert checker(file) == {file.name: wrong}
