"""What the experiment runs on: tools compiled, peers installed, all below build/bench."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..peers import Debian, GoBuild, Peer, go

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "benchmarks" / "tools"
REQUIREMENTS = ROOT / "benchmarks" / "peers" / "requirements.txt"


class Unavailable(Exception):
    """Something that the experiment needs is missing; says what to install."""


def call(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Runs a command and returns what it said. Raises Unavailable with that when it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(
            f"{' '.join(map(str, command))} failed with {done.returncode}:\n{done.stdout[-4000:]}"
        )
    return done.stdout


def apt_install(*packages: str) -> None:
    """Installs Debian packages. Raises Unavailable when that is not to be had, naming them."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable(f"missing: {', '.join(packages)}; as root: apt-get install {' '.join(packages)}")
    call("apt-get", "update")
    call(
        "apt-get", "install", "--yes", "--no-install-recommends", *packages, DEBIAN_FRONTEND="noninteractive"
    )


def compile_tool(name: str, build: Path) -> Path:
    """Compiles benchmarks/tools/NAME.c unless it is up to date; returns the program."""
    program = build / name
    sources = [TOOLS / f"{name}.c", *TOOLS.glob("*.h")]
    if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        compiler = shutil.which("cc")
        if not compiler:
            raise Unavailable("no C compiler: install gcc")
        build.mkdir(parents=True, exist_ok=True)
        call(compiler, "-O2", "-Wall", "-Wextra", "-o", program, sources[0])
    return program


class Workshop:
    def __init__(self, build: Path = ROOT / "build" / "bench") -> None:
        self.build = build
        self.venv = build / "venv"
        self.wheels = build / "wheels"
        self.debs = build / "debs"
        self.upstream = compile_tool("upstream", build)
        self.load = compile_tool("load", build)
        self.path = os.pathsep.join((str(self.venv / "bin"), os.environ["PATH"], "/usr/sbin"))
        """Where the peers' programs are looked up."""

    @property
    def packages(self) -> Path:
        return next(self.venv.glob("lib/python*/site-packages"))

    def prepare(self, peers: tuple[Peer, ...]) -> None:
        """Installs what these peers need and lacks; nothing when all is there."""
        folders = {peer.folder for peer in peers}
        if folders - {"", "tetrapylon", "nginx", "haproxy"}:
            self._prepare_venv()
        for peer in peers:
            if isinstance(peer.deploy, Debian) and not shutil.which(peer.program, path=self.path):
                apt_install(peer.program)
        for peer in (go.PLAIN, *peers) if "go" in folders else ():
            if isinstance(peer.deploy, GoBuild):
                self.go_build(peer, self.build / peer.program)

    def _prepare_venv(self) -> None:
        stamp = self.venv / "requirements.txt"
        if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
            return
        shutil.rmtree(self.venv, ignore_errors=True)
        call(sys.executable, "-m", "venv", self.venv)
        pip = self.venv / "bin" / "pip"
        call(pip, "download", "--quiet", "--dest", self.wheels, "--requirement", REQUIREMENTS)
        call(
            pip,
            "install",
            "--quiet",
            "--no-index",
            "--find-links",
            self.wheels,
            "--requirement",
            REQUIREMENTS,
        )
        stamp.write_text(REQUIREMENTS.read_text())

    def go_build(self, peer: Peer, program: Path) -> None:
        """Builds the Go gateway; the cache of compiled packages stays in build/bench between calls."""
        assert isinstance(peer.deploy, GoBuild)
        call(
            self.packages / "go" / "bin" / "go",
            "build",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            program,
            peer.home / peer.deploy.source,
            GO111MODULE="off",
            CGO_ENABLED="0",
            GOCACHE=str(self.build / "go-cache"),
            GOFLAGS="",
            GOTOOLCHAIN="local",
            GOTELEMETRY="off",
        )

    def program(self, peer: Peer) -> Path:
        """The installed program. Raises Unavailable when there is none."""
        candidates = {
            "tetrapylon": Path(sys.executable).with_name("tetrapylon"),
            "go": self.build / peer.program,
            "envoy": self.packages / "envoy" / "_bin" / "envoy" if self.venv.exists() else Path("envoy"),
        }
        found = candidates.get(peer.folder) or Path(
            shutil.which(peer.program, path=self.path) or peer.program
        )
        if not found.exists():
            raise Unavailable(f"{peer.name}: no program {found}")
        return found

    def version(self, peer: Peer) -> str:
        """The first line in which the system tells its version."""
        if peer.folder == "flask":
            listed = call(self.venv / "bin" / "pip", "list", "--format=freeze").splitlines()
            return ", ".join(line for line in listed if line.split("==")[0].lower() in peer.deploy_names)
        if peer.folder == "go":
            return call(self.packages / "go" / "bin" / "go", "version").strip()
        words = peer.fill(peer.version, self.program(peer), self.build, 0, 0)
        told = next(line.strip() for line in call(*words).splitlines() if any(c.isdigit() for c in line))
        return told.removeprefix(words[0]).strip()  # some name their program first, by its path
