"""The addresses that a gateway listens on, and how a reload changes them without losing a connection."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tetrapylon.net.sockets import Listener, bind_listeners, open_listeners

SETTING = "server.listen"


class Change(NamedTuple):
    """A set of addresses that is ready to take the place of the present one."""

    listeners: list[Listener]
    workers: int
    tls: frozenset[str]
    fresh: list[Listener]
    """Bound, not listening yet."""
    grown: list[tuple[Listener, list[socket.socket]]]
    """Likewise, of addresses that stay."""
    gone: list[Listener]


class Listening:
    """Raises ListenError from its constructor, with nothing left open."""

    def __init__(
        self,
        addresses: Sequence[str],
        workers: int,
        tls: Collection[str],
        given: list[Listener] | None = None,
    ) -> None:
        """Those of `given` that fit are taken from it, in place of new ones."""
        self.listeners = open_listeners(addresses, workers, SETTING, tls=tls, given=given)
        self._workers = workers
        self._change: Change | None = None
        """One that is under way."""

    def __iter__(self) -> Iterator[Listener]:
        return iter(self.listeners)

    def of(self, place: int) -> list[tuple[socket.socket, str]]:
        """The sockets of the worker at that place, each with its address."""
        change = self._change
        coming = () if change is None or change.listeners is self.listeners else change.grown
        bound = {sock for _, more in coming for sock in more}  # and nobody listens on them yet
        return [
            (sock, listener.asked)
            for listener in self.listeners
            for sock in listener.sockets(place, self._workers)
            if sock not in bound
        ]

    def keep(self, place: int | None) -> None:
        """In a child: closes the copies of all that is not the worker's at that place."""
        own = [] if place is None else [sock for sock, _ in self.of(place)]
        change = self._change
        others = [] if change is None else [*change.fresh, *change.gone]
        for listener in dict.fromkeys([*self.listeners, *others]):
            listener.keep(own)

    def change(self, addresses: Sequence[str], workers: int, tls: Collection[str]) -> Change:
        """Binds what is new. Raises ListenError, and then nothing has changed."""
        stay = [listener for listener in self.listeners if listener.asked in addresses]
        have = {listener.asked for listener in stay}
        fresh = bind_listeners(
            [address for address in addresses if address not in have],
            workers,
            SETTING,
            tls=tls,
            own={sock.getsockname()[1] for sock in self._tcp_sockets()},
        )
        grown: list[tuple[Listener, list[socket.socket]]] = []
        change = Change(
            listeners=[*stay, *fresh],
            workers=workers,
            tls=frozenset(tls),
            fresh=fresh,
            grown=grown,
            gone=[listener for listener in self.listeners if listener.asked not in have],
        )
        try:
            for listener in stay:
                more = listener.grow(workers, SETTING)
                grown.append((listener, more))
        except BaseException:
            self.undo(change)
            raise
        self._change = change
        return change

    def handed(self, change: Change, place: int) -> list[tuple[socket.socket, str]]:
        """Of a worker that runs: the sockets that the change brings it in addition."""
        has = {sock for sock, _ in self.of(place)}
        return [
            (sock, listener.asked)
            for listener in change.listeners
            for sock in listener.sockets(place, change.workers)
            if sock not in has
        ]

    def commit(self, change: Change) -> None:
        """Listens on what is new. Raises ListenError, and then nothing has changed but by `undo`."""
        for listener in [*change.fresh, *(listener for listener, more in change.grown if more)]:
            listener.listen(SETTING)
        for listener in change.listeners:
            listener.tls = listener.asked in change.tls
        self.listeners = change.listeners
        self._workers = change.workers

    def settle(self) -> None:
        """All workers have taken the change on: what has gone is closed."""
        if self._change is not None:
            for listener in self._change.gone:
                listener.close()
        self._change = None

    def undo(self, change: Change) -> None:
        self._change = None
        for listener, sockets in change.grown:
            listener.shrink(sockets)
        for listener in change.fresh:
            listener.close()

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()

    def _tcp_sockets(self) -> Iterator[socket.socket]:
        for listener in self.listeners:
            if not listener.shared:
                yield from listener.sockets(0, 1)
