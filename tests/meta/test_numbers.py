"""Limits that the guide pages name in their sentences are those of the code."""

import tomllib
from typing import NamedTuple

import pytest

from tests.meta.source import ROOT
from tetrapylon import worker
from tetrapylon.admin import live
from tetrapylon.config.model import Config
from tetrapylon.diff import file as diff_file
from tetrapylon.diff import findings
from tetrapylon.identity import tokens
from tetrapylon.moving import judge, state
from tetrapylon.processes import handover, reload, slots
from tetrapylon.stores import redis, redis_answers, redis_records
from tetrapylon.upstreams import resolve

BUDGETS = tomllib.loads((ROOT / "benchmarks" / "budgets.toml").read_text(encoding="utf-8"))
WORDS = {3: "three", 4: "four", 5: "five", 10: "ten"}


class Said(NamedTuple):
    page: str
    sentence: str
    """With `{}` for each number."""
    numbers: tuple[float, ...]


SENTENCES = [
    Said("apps.md", "or have failed to; after {} s at most", (worker.FIRST_APPS,)),
    Said(
        "caching.md",
        "a head of more than {} KiB or {} fields",
        (redis_records.HEAD >> 10, redis_records.FIELDS),
    ),
    Said("caching.md", "after {} days at most", (redis_answers.LONGEST / 86400,)),
    Said("guide.md", "are logged {} times a minute at most", (Config().log.errors.per_minute,)),
    Said("identity.md", "RSA keys below {} bits are not used", (tokens.WEAKEST_RSA,)),
    Said(
        "limits.md", "a command waits up to {} ms to gather {} of them", (redis.LINGER * 1000, redis.GROWTH)
    ),
    Said("limits.md", "until it answers a PING, sent {} times a second", (1 / redis.PROBE,)),
    Said(
        "move.md",
        "It takes {} responses of the old side",
        (judge.Z**2 * judge.QUANTILE / (1 - judge.QUANTILE),),
    ),
    Said("move.md", "All bounds are at {} standard deviations", (judge.Z,)),
    Said("move.md", "its last {} steps", (state.STEPS,)),
    Said("move.md", "for longer than {} s and {} times the old side's p95", (state.PATIENCE, state.SLOWER)),
    Said("operate.md", "The {} busiest, where there are more", (live.ROUTES,)),
    Said("operate.md", "the last {} minutes, also from before", ((live.SAMPLES - 1) * live.EVERY / 60,)),
    Said("reload.md", "There is room for {} workers", (handover.MOST_WORKERS,)),
    Said("reload.md", "There is room for {} routes", (slots.ROOM,)),
    Said("reload.md", "keeps the last {} configs", (reload.KEPT,)),
    Said("resilience.md", "a worker waits up to {} s for it", (worker.FIRST_TARGETS,)),
    Said("resilience.md", "are looked up too, every {} s", (resolve.REFRESH,)),
    Said("resilience.md", "is looked up every {} s and gets 502", (resolve.AGAIN,)),
    Said("shadow.md", "up to {} samples of each", (findings.SAMPLES,)),
    Said("shadow.md", "tries again every {} seconds", (diff_file.AGAIN,)),
    Said("shadow.md", "beside the {} of the request", (round(BUDGETS["instructions"]["small"], -2),)),
]


def spelled(number: float) -> set[str]:
    """As a page may have it."""
    whole = round(number)
    return {f"{whole:,}", f"{whole}", WORDS.get(whole, f"{whole}")}


@pytest.mark.parametrize("said", SENTENCES, ids=lambda said: f"{said.page}: {said.sentence}")
def test_a_number_is_that_of_the_code(said: Said) -> None:
    text = " ".join((ROOT / "docs" / said.page).read_text(encoding="utf-8").split())
    forms = [said.sentence]
    for number in said.numbers:
        assert abs(number - round(number)) < 1e-9, "the page names whole numbers"
        forms = [form.replace("{}", word, 1) for form in forms for word in spelled(number)]
    assert any(form in text for form in forms), forms
