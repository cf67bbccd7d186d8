"""Who knows the code: from real repositories, those with bad intentions among them."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tetrapylon.assess.repository.languages import language_of
from tetrapylon.assess.repository.people import team_of
from tetrapylon.assess.repository.workers import workers_of
from tetrapylon.cli import main
from tetrapylon.errors import UsageError

NOW = 1_796_029_200
RECENT = NOW - 40 * 86_400

Commit = Callable[..., None]


def git(folder: Path, *arguments: str, **environment: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(
        ["git", "-C", str(folder), "-c", "commit.gpgsign=false", *arguments],
        env={**clean, "GIT_CONFIG_GLOBAL": "/dev/null", **environment},
        check=True,
        capture_output=True,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "gateway"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


@pytest.fixture
def commit(repository: Path) -> Commit:
    def write(
        who: str, *paths: str, mail: str = "", at: int = RECENT, text: str = "", into: Path | None = None
    ) -> None:
        folder = into or repository
        for path in paths:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text or f"{file.read_text() if file.exists() else ''}# one more line\n")
        mail = mail or f"{who.split()[0].lower()}@example.org"
        names = {"GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": f"@{at} +0000"}
        names |= {
            "GIT_COMMITTER_NAME": "c",
            "GIT_COMMITTER_EMAIL": "c@d",
            "GIT_COMMITTER_DATE": f"@{at} +0000",
        }
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "change", **names)

    return write


def test_authors_of_the_last_year_and_the_share_of_the_first(repository: Path, commit: Commit) -> None:
    commit("Old Hand", "app.py", at=NOW - 400 * 86_400)
    for _ in range(3):
        commit("Ada L", "app.py")
    commit("Grace H", "app.py", "proxy/main.go")
    told = team_of([str(repository)], NOW)
    assert (told.commits, told.authors, told.first, told.first_name) == (4, 2, 0.75, "Ada L")
    languages = {each.name: each for each in told.languages}
    assert (languages["Python"].authors, languages["Python"].first) == (2, 0.75)
    assert (languages["Go"].authors, languages["Go"].first) == (1, 1.0)
    assert sum(each.share for each in told.languages) == pytest.approx(1)


def test_one_person_with_several_names_or_addresses_counts_once(repository: Path, commit: Commit) -> None:
    commit("Ada L", "app.py", mail="ada@work.example")
    commit("Ada L", "app.py", mail="ada@home.example")
    commit("ada", "app.py", mail="ADA@home.example")
    commit("Grace H", "app.py")
    assert team_of([str(repository)], NOW).authors == 2


def test_mailmap_holds(repository: Path, commit: Commit) -> None:
    commit("Ada L", "app.py", mail="a@one.example")
    commit("A. Lovelace", "app.py", mail="a@two.example")
    commit(
        "Ada L", ".mailmap", mail="a@one.example", text="Ada L <a@one.example> A. Lovelace <a@two.example>\n"
    )
    assert team_of([str(repository)], NOW).authors == 1


def test_robots_are_told_apart(repository: Path, commit: Commit) -> None:
    commit("Ada L", "app.py")
    for _ in range(5):
        commit("dependabot[bot]", "requirements.txt", mail="49699333+dependabot[bot]@users.example")
    told = team_of([str(repository)], NOW)
    assert (told.authors, told.commits, told.robots, told.first_name) == (1, 1, 5, "Ada L")


def test_several_repositories_are_one_code(tmp_path: Path, repository: Path, commit: Commit) -> None:
    other = tmp_path / "more"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    commit("Ada L", "app.py")
    commit("Ada L", "b.py", into=other)
    commit("Grace H", "c.py", into=other)
    told = team_of([str(repository), str(other)], NOW)
    assert (told.authors, told.commits) == (2, 3)


def test_merges_and_renames_make_nobody_an_author_of_more(repository: Path, commit: Commit) -> None:
    commit("Ada L", "app.py")
    git(repository, "mv", "app.py", "gateway.py")
    commit("Grace H")
    assert team_of([str(repository)], NOW).languages[0].authors == 2


def test_folder_of_a_repository_is_known_by_who_changed_it(repository: Path, commit: Commit) -> None:
    commit("Ada L", "gateway/app.py", "gateway/Procfile", text="web: gunicorn -w 4 app\n")
    commit("Grace H", "shop/main.go", "shop/Procfile", text="web: gunicorn -w 9 app\n")
    folder = str(repository / "gateway")
    told = team_of([folder], NOW)
    assert (told.authors, told.commits, told.first_name) == (1, 1, "Ada L")
    assert [each.name for each in told.languages] == ["Python"]
    assert [each.workers for each in workers_of([folder])] == [4]


def test_who_made_the_same_change_on_another_branch_counts(repository: Path, commit: Commit) -> None:
    commit("Old Hand", "gateway/app.py")
    git(repository, "switch", "-q", "-c", "other")
    commit("Ada L", "gateway/b.py", text="same\n")
    git(repository, "switch", "-q", "main")
    commit("Grace H", "gateway/b.py", text="same\n")
    git(repository, "-c", "user.name=m", "-c", "user.email=m@x", "merge", "-q", "--no-edit", "other")
    assert team_of([str(repository / "gateway")], NOW).authors == 3


def test_people_without_an_address_are_not_one(repository: Path, commit: Commit) -> None:
    for name in ("Ada L", "Grace H"):
        commit(name, "app.py", mail=" ")
    assert team_of([str(repository)], NOW).authors == 2


def test_nobody_within_a_year(repository: Path, commit: Commit) -> None:
    commit("Old Hand", "app.py", at=NOW - 500 * 86_400)
    told = team_of([str(repository)], NOW)
    assert (told.authors, told.commits, told.first) == (0, 0, 0.0)
    assert told.languages[0].name == "Python"


def test_shallow_clone_is_said(tmp_path: Path, repository: Path, commit: Commit) -> None:
    commit("Ada L", "app.py")
    commit("Grace H", "app.py")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repository}", str(shallow)], check=True)
    assert "shallow clone" in team_of([str(shallow)], NOW).notes[0]


@pytest.mark.parametrize("kind", ["nowhere", "no repository", "empty repository"])
def test_what_is_no_repository_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "it"
    if kind != "nowhere":
        folder.mkdir()
    if kind == "empty repository":
        git(folder, "init", "-q")
    with pytest.raises(UsageError, match=r"--repo: .*/it is no"):
        team_of([str(folder)], NOW)


# ---- a repository that nobody vouches for


def test_programs_that_a_repository_names_are_not_run(
    tmp_path: Path, repository: Path, commit: Commit
) -> None:
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\necho $0 $@ >> {sprung}\ncat\n")
    trap.chmod(0o755)
    commit("Ada L", "app.py", ".gitattributes", text="*.py diff=evil filter=evil\n")
    for setting in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "gpg.program",
        "pager.log",
        "log.showSignature",
        "alias.log",
    ):
        git(repository, "config", setting, "true" if setting == "log.showSignature" else str(trap))
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.write_text(trap.read_text())
    hook.chmod(0o755)
    sprung.unlink(missing_ok=True)
    assert team_of([str(repository)], NOW).authors == 1
    assert workers_of([str(repository)]) == []
    assert not sprung.exists(), sprung.read_text()


def test_names_and_paths_do_not_deceive(repository: Path, commit: Commit) -> None:
    commit("Ada\x1b[31m \u202eL", "app.py")
    commit("-- evil", "--output=x.py", "a\nb.py", "\x01deadbeef:Eve.py", 'quo"te.py', mail="--exec=x")
    told = team_of([str(repository)], NOW)
    assert (told.authors, told.commits) == (2, 2)
    assert not (repository / "x.py").exists()


def test_hostile_names_do_nothing_to_a_terminal(
    repository: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit("Ada\x1b[31m \u202eL", "app.py", at=int(time.time()) - 1000)
    assert main(["assess", "--repo", str(repository)]) == 0
    said = capsys.readouterr().out
    assert "1 author of 1 commit" in said
    assert not {"\x1b", "\u202e"} & set(said)


def test_path_that_looks_like_an_option_is_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assess", "--repo=--upload-pack=x"]) == 2
    assert "is no folder" in capsys.readouterr().err


# ---- languages, workers


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("app.py", "Python"),
        ("cmd/main.go", "Go"),
        ("a/b/C.JAVA", "Java"),
        ("vendor/x/main.go", None),
        ("web/node_modules/x.js", None),
        ("static/jquery.min.js", None),
        ("api_pb2.py", None),
        ("README.md", None),
        (".py", None),
        ("Makefile", None),
    ],
)
def test_language_is_by_the_end_of_the_name(path: str, language: str | None) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("path", "text", "slots"),
    [
        ("Procfile", "web: gunicorn -w 4 --threads 8 shop.app:app\n", (4, 8)),
        ("Procfile", "web: gunicorn --workers=3 shop.app:app\n", (3, 1)),
        ("deploy/gateway.service", "ExecStart=/venv/bin/gunicorn \\\n  -w4 \\\n  --threads 2 app\n", (4, 2)),
        ("Dockerfile", 'CMD ["gunicorn", "-w", "2", "--threads", "16", "app"]\n', (2, 16)),
        ("docker-compose.yml", 'command: "gunicorn --workers 5 app"\n', (5, 1)),
        ("gunicorn.conf.py", "workers = 6\nthreads = 2\nbind = ':80'\n", (6, 2)),
        ("Procfile", "web: gunicorn -w 2 -k gevent --worker-connections 200 shop.app:app\n", (2, 200)),
        ("Procfile", "web: gunicorn -w 2 --worker-class=uvicorn.workers.UvicornWorker app\n", (2, 1000)),
        ("gunicorn.conf.py", "workers = 6\nworker_class = 'gevent'\n", (6, 1000)),
        ("gunicorn.conf.py", "import os\nworkers = os.cpu_count()\n", None),
        ("README.md", "gunicorn -w 4\n", None),
        ("Procfile", "web: gunicorn -w 99999999999 shop.app:app\n", None),
        ("gunicorn.conf.py", "workers = 99999999999\n", None),
        pytest.param("gunicorn.conf.py", f"workers = {'-' * 100_000}4\n", None, id="deep"),
        ("Procfile", "web: gunicorn -w 'four shop.app:app\n", None),
        ("Procfile", "web: flask run\n", None),
    ],
)
def test_workers_are_found_in_the_repository(
    repository: Path, commit: Commit, path: str, text: str, slots: tuple[int, int] | None
) -> None:
    commit("Ada L", path, text=text)
    found = workers_of([str(repository)])
    assert [(each.workers, each.threads, each.where) for each in found] == ([(*slots, path)] if slots else [])
