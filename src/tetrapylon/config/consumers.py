"""The checks of `consumers`: no name stands for two, and no credential is two consumers'."""

from __future__ import annotations

from collections.abc import Iterator

from tetrapylon.config.model import Config, Consumer
from tetrapylon.config.model.credentials import attributes
from tetrapylon.config.shape import FAILED
from tetrapylon.config.tree import Path, Report

__all__ = ["check"]


def check(config: Config, report: Report) -> None:
    """Looks at the consumers as a whole."""
    named: dict[str, int] = {}
    owners: dict[tuple[str, object], str] = {}
    for index, consumer in enumerate(config.consumers):
        if consumer is FAILED or consumer.name is None:
            continue
        path: Path = ("consumers", index)
        first = named.setdefault(consumer.name, index)
        if first != index:
            message = f"{consumer.name!r} is the name of consumers[{first}] too"
            report.add((*path, "name"), message, "choose another")
        for place, what, credential in _credentials(consumer):
            owner = owners.get((place[0], credential))
            if owner is None:
                owners[place[0], credential] = consumer.name
                continue
            whose = "this consumer's" if owner == consumer.name else f"{owner}'s"
            report.add((*path, *place), f"{what} is {whose} already", "leave one of them out")


def _credentials(consumer: Consumer) -> Iterator[tuple[tuple[str, int | str], str, object]]:
    """Where each stands, what it is, and what is equal for those that mean the same."""
    for index, key in enumerate(consumer.api_keys or ()):
        if key is not FAILED:
            yield ("api_keys", index), "this key", key
    for name in consumer.hmac_keys or ():
        yield ("hmac_keys", name), "a key of this id", name
    for index, subject in enumerate(consumer.subjects or ()):
        if subject is not FAILED:
            yield ("subjects", index), "this subject", tuple(attributes(subject))
