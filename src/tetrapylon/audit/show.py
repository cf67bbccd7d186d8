"""Findings as text for people, as JSON, and as SARIF 2.1.0 for code-scanning tools; the rules as a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tetrapylon._version import VERSION
from tetrapylon.audit.report import Finding, Report
from tetrapylon.audit.rule import RULES, SEVERITIES

__all__ = ["page", "summary", "to_json", "to_sarif", "to_text"]

HEAD = """\
# Audit rules

`tetrapylon audit CONFIG` looks at a valid config as an experienced operator would. Each finding has
the place it is about, what is the matter, why it matters, and what to do. `tetrapylon audit
--rules` prints this page.

| severity | means |
| --- | --- |
| error | lets strangers in, gives secrets away, or stops everybody |
| warning | will hurt one day |
| note | advice |

The exit status is 0 when nothing is found, 1 when something is, 2 when the config is bad.
`--fail-on error` lets warnings pass, `--fail-on note` fails for advice too; the default is
`warning`. `--format json` and `--format sarif` are for programs: code-scanning services read SARIF.

## To live with a finding

A comment at the line in question, or above it, with the rule and a reason. It holds for what stands
there and for all within it: above `routes:` it holds for every route.

```yaml
routes:
  # audit: ignore unauthenticated-write because the shop checks its own sessions
  - {path: "/shop/{rest:path}", upstream: shop}
```

TOML has the same comments. JSON has none, so the config itself may say it, in any format; `at` is
the path that the finding names, left out for the whole config:

```json
{"audit": {"ignore": [{"rule": "no-admin", "because": "the platform probes the port"}]}}
```

What is ignored without a reason is not ignored, and an ignored rule that finds nothing is a finding
of its own. `json` and `sarif` list ignored findings with their reasons.

## Rules
"""


def to_text(report: Report) -> Iterator[tuple[str, Finding | None]]:
    """Lines, those that open a finding with it."""
    explained = set()
    for each in report.open:
        yield str(each), each
        if each.rule.id not in explained:
            explained.add(each.rule.id)
            yield f"    why: {each.rule.why}", None
            yield f"    fix: {each.rule.fix}", None


def summary(report: Report) -> str:
    """`2 errors, 1 warning; 3 ignored`."""
    counts = [(report.count(severity), severity) for severity in SEVERITIES]
    told = ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n) or "nothing found"
    return told + (f"; {len(report.ignored)} ignored" if report.ignored else "")


def to_json(report: Report) -> dict[str, Any]:
    return {
        "version": 1,
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": [
            {
                "rule": each.rule.id,
                "severity": each.rule.severity,
                "message": each.message,
                "file": each.file,
                "line": each.line,
                "column": each.column,
                "path": each.path,
                "why": each.rule.why,
                "fix": each.rule.fix,
                "ignored": each.ignored or None,
            }
            for each in report.findings
        ],
    }


def to_sarif(report: Report) -> dict[str, Any]:
    """Of version 2.1.0; ignored findings are there as suppressed."""
    indexes = {id: index for index, id in enumerate(RULES)}
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": f"{rule.title}."},
            "fullDescription": {"text": rule.why},
            "help": {"text": rule.fix},
            "defaultConfiguration": {"level": rule.severity},
        }
        for rule in RULES.values()
    ]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "tetrapylon", "version": VERSION, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, indexes[each.rule.id]) for each in report.findings],
            }
        ],
    }


def _result(each: Finding, index: int) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": each.file.replace("\\", "/")}}
    }
    if each.line is not None:
        location["physicalLocation"]["region"] = {"startLine": each.line, "startColumn": each.column}
    if each.path:
        location["logicalLocations"] = [{"fullyQualifiedName": each.path}]
    result: dict[str, Any] = {
        "ruleId": each.rule.id,
        "ruleIndex": index,
        "level": each.rule.severity,
        "message": {"text": f"{each.message}. {each.rule.fix}"},
        "locations": [location],
    }
    if each.ignored:
        result["suppressions"] = [{"kind": "inSource", "justification": each.ignored}]
    return result


def page() -> str:
    """What `docs/audit.md` holds."""
    lines = [HEAD, "| rule | severity | finds |", "| --- | --- | --- |"]
    lines += [f"| [{each.id}](#{each.id}) | {each.severity} | {each.title} |" for each in RULES.values()]
    for each in RULES.values():
        lines += [
            "",
            f"### {each.id}",
            "",
            f"{each.title}: {each.severity}. {each.why}",
            "",
            f"**Fix:** {each.fix}",
        ]
    return "\n".join(lines) + "\n"
