"""`run --watch`: apps whose code changes are to be replaced."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from tetrapylon.config.model import App
from tetrapylon.processes.channel import Channel, Roll
from tetrapylon.telemetry.events import say

__all__ = ["Code", "folders_of"]

DEBOUNCE = 300
"""Milliseconds without a change before it is acted on."""


def folders_of(apps: Mapping[str, App]) -> dict[str, str]:
    """Where the code of each is."""
    return {name: os.path.abspath(app.folder or ".") for name, app in apps.items()}


class Code:
    """Watches folders with what is below them, in a thread. Needs the package watchfiles."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._folders: dict[str, str] = {}
        self._over = threading.Event()

    def follow(self, folders: Mapping[str, str]) -> None:
        """These from now on, by app."""
        if folders == self._folders:
            return
        self._over.set()
        self._folders = dict(folders)
        self._over = threading.Event()
        if folders:
            threading.Thread(target=self._watch, args=(self._folders, self._over), daemon=True).start()

    def _watch(self, folders: Mapping[str, str], over: threading.Event) -> None:
        from watchfiles import PythonFilter, watch

        # Environments, caches and version control below a folder are nobody's code.
        for changes in watch(
            *sorted(set(folders.values())), watch_filter=PythonFilter(), debounce=DEBOUNCE, stop_event=over
        ):
            changed = tuple(
                name
                for name, folder in folders.items()
                if any(path.startswith(f"{folder}{os.sep}") for _, path in changes)
            )
            if changed and not self._channel.send(Roll(changed)):
                say("warning", "watch: the supervisor does not listen")
