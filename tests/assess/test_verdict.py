"""The advice, for systems whose right advice is known: what it says, and for which reason."""

import subprocess
from pathlib import Path

import pytest

from tests.assess.simulate import STYLES, System, gunicorn, lognormal, uniform
from tests.assess.test_people import NOW, RECENT, git
from tetrapylon.assess import Assessment, Present, assess
from tetrapylon.assess.report.text import to_text
from tetrapylon.assess.result import Answer, Verdict


def log_of(path: Path, system: System, count: int = 6000, style: str = "gunicorn-split") -> str:
    path.write_text("".join(f"{STYLES[style](*each)}\n" for each in system.requests(count, 21)))
    return str(path)


def verdict_of(told: Assessment) -> Verdict:
    assert told.verdict is not None
    return told.verdict


def answers(told: Assessment) -> dict[str, Answer]:
    return {each.question: each for each in verdict_of(told).answers}


def repository_of(folder: Path, commits: dict[str, list[str]]) -> str:
    """By author, the files of each of their commits."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for who, paths in commits.items():
        for number, path in enumerate(paths):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{who} {number}\n" * 20)
            names = {"GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": f"{who}@x"}
            names |= {"GIT_COMMITTER_NAME": who, "GIT_COMMITTER_EMAIL": f"{who}@x"}
            names |= {"GIT_AUTHOR_DATE": f"@{RECENT} +0000", "GIT_COMMITTER_DATE": f"@{RECENT} +0000"}
            git(folder, "add", "-A")
            git(folder, "commit", "-q", "-m", "x", **names)
    return str(folder)


TEAM = {name: [f"{name}.py", "app.py", f"more/{name}.py"] for name in ("ada", "bo", "cy", "di", "eve", "fay")}
STORY = System(lognormal(7.0, 0.1), lognormal(38.0, 0.1), rate=40.0)


def story(tmp_path: Path, **known: object) -> Assessment:
    """45 ms that would become 38; a tenth of what it can do is used; six people know it."""
    repository = repository_of(tmp_path / "shop", TEAM)
    settings: dict[str, object] = {
        "workers": 4,
        "threads": 6,
        "cores": 4,
        "cpu": 0.3,
        "memory": 3e9,
        "like": "flask",
    }
    present = Present(**{**settings, "repositories": [repository], **known})  # type: ignore[arg-type]
    return assess([log_of(tmp_path / "access.log", STORY)], present, now=NOW)


def test_the_story_is_left_alone_for_the_right_reasons(tmp_path: Path) -> None:
    told = story(tmp_path, core_price=25.0, memory_price=3.0, change_cost=20_000.0, growth="30%/year")
    assert told.split is not None
    assert told.split.quantiles[0].total == pytest.approx(45, abs=1)
    assert told.split.quantiles[0].upstream == pytest.approx(38, abs=1)
    assert told.limits is not None
    assert told.limits.headroom is not None
    assert 8 < told.limits.headroom < 12
    verdict = verdict_of(told)
    assert verdict.advice == "leave it alone"
    assert verdict.why.startswith("It is not broken, ")
    assert "times its traffic would fit, and users would not notice a faster one." in verdict.why
    assert verdict.why.endswith("And 6 people know it, which a new one would give up.")
    broken, pays, who = answers(told).values()
    assert (broken.answer, pays.answer, who.answer) == ("no", "no", "6 people")
    users, growth, money = pays.because
    assert "they would wait 38" in users
    assert "instead of 45" in users
    assert users.endswith("and would not notice")
    assert "is met in 9" in growth or "is met in 8" in growth or "is met in 10" in growth
    assert "is paid back in" in money
    assert any("Go: nobody changed any here" in reason for reason in who.because)


def test_the_story_without_prices_or_repository_says_what_was_not_looked_at(tmp_path: Path) -> None:
    told = assess([log_of(tmp_path / "log", STORY)], Present(workers=4, threads=6))
    assert verdict_of(told).advice == "leave it alone"
    _, pays, who = answers(told).values()
    assert pays.answer == "no"
    assert "--core-price and --memory-price" in pays.because[2]
    assert (who.answer, who.because) == ("cannot tell", ["no repository was given: say --repo"])


def test_one_person_alone_is_what_is_to_change(tmp_path: Path) -> None:
    repository = repository_of(tmp_path / "shop", {"ada": ["app.py", "b.py"]})
    log = log_of(tmp_path / "log", STORY)
    told = assess([log], Present(workers=4, threads=6, repositories=[repository]), now=NOW)
    assert verdict_of(told).advice == "leave it alone"
    assert "it is in one person's hands: that is what to change" in verdict_of(told).why
    assert answers(told)["Who maintains it?"].answer == "one person"


def test_users_who_would_notice_are_a_reason_to_change(tmp_path: Path) -> None:
    """The opposite: of 120 ms the gateway takes 80."""
    repository = repository_of(tmp_path / "shop", TEAM)
    log = log_of(tmp_path / "log", System(lognormal(80, 0.1), lognormal(40, 0.1), rate=20.0))
    told = assess([log], Present(workers=8, threads=4, repositories=[repository]), now=NOW)
    verdict = verdict_of(told)
    assert verdict.advice == "change it"
    assert "much of their time is the gateway's own" in verdict.why
    assert "6 people write Python here" in verdict.why
    pays = answers(told)["Does a change pay?"]
    assert pays.answer == "yes"
    assert "and would notice" in pays.because[0]


def test_full_workers_that_wait_for_upstreams_are_relieved_not_replaced(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", System(uniform(2, 4), lognormal(300, 0.1), rate=12.5))
    told = assess([log], Present(workers=4, threads=1, cores=4))
    verdict = verdict_of(told)
    assert verdict.advice == "relieve it"
    assert "full, mostly of requests that wait for upstreams" in verdict.why
    assert "faster code does not" in verdict.why
    assert answers(told)["Is the system broken?"].answer == "yes"


def test_growth_that_soon_meets_the_workers_is_relieved(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", System(uniform(2, 4), lognormal(300, 0.1), rate=12.5))
    told = assess([log], Present(workers=4, threads=2, growth="20%/month"))
    assert verdict_of(told).advice == "relieve it"
    assert "Growth meets the limit of its workers within a year" in verdict_of(told).why
    assert answers(told)["Is the system broken?"].answer == "no"


def test_growth_that_soon_meets_the_cores_is_a_reason_to_change(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", System(uniform(6, 8), lognormal(300, 0.1), rate=20.0))
    told = assess([log], Present(workers=8, threads=32, cores=2, cpu=0.9, growth="10%/month"))
    assert verdict_of(told).advice == "change it"
    assert "limit of its cores" in verdict_of(told).why


def test_money_that_comes_back_within_a_year_is_a_reason_to_change(tmp_path: Path) -> None:
    known = {"cores": 64, "cpu": 30.0, "workers": 64, "threads": 1, "core_price": 25.0}
    cheap = story(tmp_path, **known, change_cost=5_000.0)
    assert verdict_of(cheap).advice == "change it"
    assert "users will not notice" in verdict_of(cheap).why
    dear = assess(
        [str(tmp_path / "access.log")],
        Present(
            workers=64, threads=1, cores=64, cpu=30.0, core_price=25.0, change_cost=500_000.0, like="flask"
        ),
    )
    assert verdict_of(dear).advice == "leave it alone"


def test_what_can_be_given_back_is_no_reason_for_another_gateway(tmp_path: Path) -> None:
    told = story(tmp_path, cores=64, cpu=0.3, core_price=25.0, change_cost=5_000.0)
    assert told.costs is not None
    assert told.costs.needed is not None
    assert told.costs.needed.cores == 1
    money = answers(told)["Does a change pay?"].because[2]
    assert (
        "1,575 of it also without it, by giving back what is not used; the change is never paid back" in money
    )


def test_failing_is_broken_whatever_the_speed(tmp_path: Path) -> None:
    log = Path(log_of(tmp_path / "log", STORY))
    lines = log.read_text().splitlines()
    log.write_text(
        "\n".join(line.replace('" 200 ', '" 502 ') if n % 30 == 0 else line for n, line in enumerate(lines))
    )
    told = assess([str(log)], Present(workers=4, threads=6))
    assert verdict_of(told).advice == "relieve it"
    assert "where the errors come from" in verdict_of(told).why


def test_not_knowing_is_said_with_what_would_tell(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{gunicorn(*each)}\n" for each in STORY.requests(3000, 1)))
    told = assess([str(path)], Present(workers=4, threads=6), log_format="gunicorn")
    assert verdict_of(told).advice == "find out first"
    assert "upstream_us=%({upstream_us}e)s" in verdict_of(told).why
    assert answers(told)["Does a change pay?"].answer == "cannot tell"


def test_near_the_line_is_no_verdict(tmp_path: Path) -> None:
    """A fifth of the time, give or take what the interval leaves open."""
    told = assess([log_of(tmp_path / "log", System(lognormal(20, 0.3), lognormal(80, 0.3)), 3000)])
    assert verdict_of(told).advice == "find out first"
    assert "near the line" in verdict_of(told).why
    assert answers(told)["Does a change pay?"].answer == "perhaps"


def test_repository_alone_answers_who(tmp_path: Path) -> None:
    told = assess([], Present(repositories=[repository_of(tmp_path / "shop", TEAM)]), now=NOW)
    broken, pays, who = answers(told).values()
    assert (broken.answer, pays.answer, who.answer) == ("cannot tell", "cannot tell", "6 people")


def test_text_tells_all_of_it(tmp_path: Path) -> None:
    said = to_text(story(tmp_path, core_price=25.0, memory_price=3.0, growth="30%/year"))
    for part in (
        "The gateway's own part of users' time",
        "Load and limits",
        "Growth of 2.2% a month (as told) gets there in",
        "Cores, memory and money by month, the present one being like Flask gateway, 1 worker",
        "Who knows the code",
        "Verdict: leave it alone",
        "Is the system broken? No.",
        "Does a change pay? No.",
        "Who maintains it? 6 people.",
        "How sure is this?",
        "benchmarks/e2e/results.json",
    ):
        assert part in said
    assert max(map(len, said.splitlines()[3:])) < 140


# ---- costs


def test_alternatives_are_scaled_by_the_measured_ratio(tmp_path: Path) -> None:
    from tetrapylon.assess.measured import measured

    told = story(tmp_path, core_price=25.0, memory_price=3.0).costs
    assert told is not None
    assert told.now.money == 4 * 25 + 3 * 3
    ours = next(each for each in told.options if each.name == "tetrapylon")
    middle, low, high = measured().systems["tetrapylon"].ratios["flask"]
    assert ours.cpu_ms is not None
    assert told.now.cpu_ms is not None
    now = told.now.cpu_ms.value
    assert (ours.cpu_ms.value, ours.cpu_ms.low, ours.cpu_ms.high) == pytest.approx(
        (now * middle, now * low, now * high)
    )
    assert ours.cores == 1
    assert ours.money == pytest.approx(25 + 3 * measured().systems["tetrapylon"].memory / 1e9)
    assert {each.name for each in told.options}.isdisjoint({"flask", "flask-4"})


def test_instances_are_kept_for_safety(tmp_path: Path) -> None:
    told = story(tmp_path, instances=3).costs
    assert told is not None
    assert {each.cores for each in told.options} == {3.0}


def test_money_of_what_is_not_known_is_not_told(tmp_path: Path) -> None:
    told = story(tmp_path, memory=None, core_price=25.0, memory_price=3.0).costs
    assert told is not None
    assert told.now.money is None
    assert all(each.saves is None for each in told.options)


def test_what_was_not_measured_is_refused(tmp_path: Path) -> None:
    from tetrapylon.errors import UsageError

    with pytest.raises(UsageError, match="'kong' was not measured; expected one of tetrapylon, nginx"):
        assess([], Present(like="kong"))


def test_gunicorns_log_is_taken_for_flask_and_this_gateways_for_itself(tmp_path: Path) -> None:
    for style, title in (("tetrapylon", "Tetrapylon"), ("nginx", "")):
        told = assess([log_of(tmp_path / style, STORY, 1000, style)])
        assert told.costs is not None
        assert told.costs.present == title


def test_workers_of_the_repository_are_used_and_named(tmp_path: Path) -> None:
    repository = repository_of(tmp_path / "shop", {"ada": ["app.py"]})
    (tmp_path / "shop" / "Procfile").write_text("web: gunicorn -w 3 --threads 5 shop.app:app\n")
    subprocess.run(["git", "-C", repository, "add", "-A"], check=True)
    git(tmp_path / "shop", "-c", "user.name=a", "-c", "user.email=b", "commit", "-q", "-m", "x")
    told = assess([log_of(tmp_path / "log", STORY, 1000)], Present(repositories=[repository]), now=NOW)
    assert told.limits is not None
    assert told.limits.slots == 15
    assert "Procfile" in told.limits.slots_from
