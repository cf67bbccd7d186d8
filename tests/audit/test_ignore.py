"""What an operator has decided to live with: by comment, or in the config itself."""

import json
from pathlib import Path

import pytest

from tetrapylon.audit import Report, audit_file

BASE = """\
server:
  limits: {body: 1MiB}
  timeouts: {drain: 40s}
admin: {listen: 127.0.0.1:9901}
upstreams:
  app:
    targets: [http://127.0.0.1:9000]
policies: [{use: request_id}]
routes:
  - {path: /a, upstream: app}
  - path: /b
    upstream: app
"""


def report(tmp_path: Path, text: str, name: str = "gateway.yaml") -> Report:
    path = tmp_path / name
    path.write_text(text)
    return audit_file(str(path))


def paths(found: Report) -> list[str]:
    return [f"{each.rule.id} {each.path}" for each in found.open]


A, B = "unauthenticated-write routes[0]", "unauthenticated-write routes[1]"


def test_without_comments_all_is_found(tmp_path: Path) -> None:
    assert paths(report(tmp_path, BASE)) == [A, B]


@pytest.mark.parametrize(
    ("line", "comment", "left"),
    [
        (
            "  - {path: /a, upstream: app}",
            "  # audit: ignore unauthenticated-write because it is public",
            [B],
        ),
        ("  - path: /b", "  # audit: ignore unauthenticated-write because: it is public", [A]),
        ("routes:", "# audit: ignore unauthenticated-write because the network is private", []),
        (
            "routes:",
            "# audit: ignore no-admin, unauthenticated-write because of reasons\n\n# and more words",
            None,
        ),
    ],
)
def test_a_comment_above_covers_what_stands_there_and_all_within(
    tmp_path: Path, line: str, comment: str, left: list[str] | None
) -> None:
    found = report(tmp_path, BASE.replace(line, f"{comment}\n{line}"))
    assert paths(found) == (left if left is not None else ["unused-ignore "])
    assert all(each.ignored for each in found.ignored)


def test_a_comment_on_the_line_itself(tmp_path: Path) -> None:
    line = "  - {path: /a, upstream: app}"
    found = report(
        tmp_path, BASE.replace(line, f"{line}  # audit: ignore unauthenticated-write because why not")
    )
    assert paths(found) == [B]
    assert [each.ignored for each in found.ignored] == ["why not"]


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# audit: ignore unauthenticated-write", "unauthenticated-write is ignored without a reason"),
        (
            "# audit: ignore unauthenticated-write because",
            "unauthenticated-write is ignored without a reason",
        ),
        ("# audit: ignore", "there is no rule ''"),
        (
            "# audit: ignore unauthenticated-writes because x",
            "there is no rule 'unauthenticated-writes'; did you mean unauthenticated-write?",
        ),
    ],
)
def test_what_ignores_nothing_says_so_where_it_stands(tmp_path: Path, comment: str, said: str) -> None:
    found = report(tmp_path, BASE.replace("routes:", f"{comment}\nroutes:"))
    assert paths(found) == ["bad-ignore ", A, B]
    assert (found.open[0].message, found.open[0].line) == (said, 9)


def test_an_ignore_that_finds_nothing_says_so(tmp_path: Path) -> None:
    found = report(
        tmp_path, BASE.replace("admin:", "# audit: ignore no-admin because it is elsewhere\nadmin:")
    )
    assert paths(found) == ["unused-ignore ", A, B]
    assert found.open[0].line == 4


def test_toml_has_the_same_comments(tmp_path: Path) -> None:
    text = (
        'admin.listen = "127.0.0.1:9901"\nserver.limits.body = "1MiB"\nserver.timeouts.drain = "40s"\n'
        '[upstreams.app]\ntargets = ["http://127.0.0.1:9000"]\n[[policies]]\nuse = "request_id"\n'
        '# audit: ignore unauthenticated-write because it is public\n[[routes]]\npath = "/a"\n'
        'upstream = "app"\n'
        '[[routes]]\npath = "/b"\nupstream = "app"\n'
    )
    assert paths(report(tmp_path, text, "gateway.toml")) == [B]


def test_json_says_it_in_the_config(tmp_path: Path) -> None:
    ignore = [{"rule": "unauthenticated-write", "at": "routes[0]", "because": "it is public"}]
    config = {
        "server": {"limits": {"body": "1MiB"}, "timeouts": {"drain": "40s"}},
        "admin": {"listen": "127.0.0.1:9901"},
        "upstreams": {"app": {"targets": ["http://127.0.0.1:9000"]}},
        "policies": [{"use": "request_id"}],
        "routes": [{"path": "/a", "upstream": "app"}, {"path": "/b", "upstream": "app"}],
        "audit": {"ignore": ignore},
    }
    assert paths(report(tmp_path, json.dumps(config), "gateway.json")) == [B]
    del ignore[0]["at"]
    assert paths(report(tmp_path, json.dumps(config), "gateway.json")) == []
    ignore[0] |= {"at": "routes[7]"}
    found = report(tmp_path, json.dumps(config, indent=1), "gateway.json")
    assert paths(found) == [A, B, "unused-ignore audit.ignore[0]"]


def test_comments_of_included_files_count_there(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        "routes:\n  # audit: ignore unauthenticated-write because x\n  - {path: /c, upstream: app}\n"
        "  - {path: /d, upstream: app}\n"
    )
    found = report(tmp_path, f"include: [more.yaml]\n{BASE}")
    assert paths(found) == [A, B, "unauthenticated-write routes[3]"]
    assert found.open[2].file.endswith("more.yaml")
    assert found.open[2].line == 4
