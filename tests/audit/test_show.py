"""Findings for people, for programs and for code scanning; the page of the rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, tetrapylon
from tetrapylon.audit import RULES, audit_file
from tetrapylon.audit.show import page, to_sarif

__all__ = ["tetrapylon"]

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"

CONFIG = """\
server: {limits: {body: 1MiB}, timeouts: {drain: 40s}}
upstreams: {app: {targets: [http://127.0.0.1:9000], credentials: {user: u, password: sesame}}}
policies: [{use: request_id}]
routes:
  # audit: ignore unauthenticated-write because it is public
  - {path: /a, upstream: app}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    return path


def test_text_has_line_reason_and_fix_and_no_secret(tetrapylon: Run, config: Path) -> None:
    done = tetrapylon("audit")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "gateway.yaml:1:1: warning: there is no `admin` [no-admin]"
    assert lines[1].startswith("    why: Without it there are no metrics")
    assert lines[2].startswith("    fix: Add `admin:")
    assert lines[3].startswith(
        "gateway.yaml:2:76: error: upstreams.app.credentials.password: the value of `password`"
    )
    assert lines[-1] == "gateway.yaml: 1 error, 1 warning; 1 ignored"
    assert "sesame" not in done.stdout


@pytest.mark.parametrize(
    ("text", "least", "code"),
    [
        (CONFIG, "error", 1),
        (CONFIG, "never", 0),
        (CONFIG.replace(", credentials: {user: u, password: sesame}", ""), "error", 0),
        (CONFIG.replace(", credentials: {user: u, password: sesame}", ""), "warning", 1),
        ("routes: [{path: /, respond: {}}]\nadmin: {listen: 127.0.0.1:1}\n", "note", 0),
        ("routes: [", "never", 2),
    ],
)
def test_the_exit_status(tetrapylon: Run, config: Path, text: str, least: str, code: int) -> None:
    config.write_text(text)
    assert tetrapylon("audit", "gateway.yaml", "--fail-on", least).returncode == code


def test_json_lists_the_ignored_too(tetrapylon: Run, config: Path) -> None:
    done = tetrapylon("audit", "--format", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["counts"] == {"error": 1, "warning": 1, "note": 0}
    assert [(each["rule"], each["line"], each["ignored"]) for each in found["findings"]] == [
        ("no-admin", 1, None),
        ("secret-in-clear", 2, None),
        ("unauthenticated-write", 6, "it is public"),
    ]
    assert all(each["why"] and each["fix"] for each in found["findings"])


def test_sarif_is_what_code_scanning_reads(tetrapylon: Run, config: Path) -> None:
    found = json.loads(tetrapylon("audit", "--format", "sarif").stdout)
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    levels = {"error", "warning", "note"}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in levels
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "gateway.yaml"
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    last: dict[str, Any] = run["results"][-1]
    assert last["suppressions"] == [{"kind": "inSource", "justification": "it is public"}]


def test_a_config_built_in_python_has_findings_without_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audited.py").write_text(
        "import tetrapylon as t\n"
        "config = t.Config(upstreams={'a': t.Upstream(targets=(t.Target(url='http://127.0.0.1:1'),))},"
        " admin=t.Admin(), routes=(t.Route(path='/', respond=t.Respond()),))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    report = audit_file("audited:config")
    assert [str(each) for each in report.open] == [
        "audited:config: warning: upstreams.a: no route leads to a [unused-upstream]"
    ]
    assert "region" not in to_sarif(report)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]


def test_the_page_of_the_rules_is_up_to_date(tetrapylon: Run) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: tetrapylon audit --rules > docs/audit.md"
    assert tetrapylon("audit", "--rules").stdout == page()
