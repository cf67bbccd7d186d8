"""What the tests of the config share."""

from typing import Annotated, ClassVar

import msgspec
import pytest

from tetrapylon import catalog
from tetrapylon.config.units import Duration, Rate


class ProbeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with one of each kind."""

    key: Annotated[str, msgspec.Meta(min_length=1, description="What to count by.")]
    rate: Rate = 100.0
    window: Duration = 1.0
    burst: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 50
    dry: bool = False

    def __post_init__(self) -> None:
        if self.key == "nobody":
            raise ValueError("nobody can be counted; expected client or consumer")


class Probe:
    """Counts requests, in tests."""

    Settings: ClassVar[type[msgspec.Struct]] = ProbeSettings


class Plain:
    """A policy without settings, in tests."""


@pytest.fixture
def policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policies `probe`, with settings, and `plain`, without."""
    monkeypatch.setattr(catalog, "POLICIES", {"probe": f"{__name__}:Probe", "plain": f"{__name__}:Plain"})


@pytest.fixture
def traceparent(policies: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes spans, which `traces` asks for."""
    monkeypatch.setitem(catalog.POLICIES, "traceparent", catalog.POLICIES["plain"])


@pytest.fixture
def validate(policies: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds requests to what `apis` name."""
    monkeypatch.setitem(catalog.POLICIES, "validate", "tetrapylon._core.policies.validate:Validate")
