"""How a route's requests come to go to another upstream, a share at a time."""

from __future__ import annotations

from typing import Annotated, Literal

from tetrapylon.config.model.base import Count, Section, Text, Timeout, doc
from tetrapylon.config.net import BalanceKey
from tetrapylon.config.units import Above, Below, Share


class MoveWhen(Section, frozen=True, kw_only=True):
    """What its shadow has to have found before a move begins."""

    compared: Annotated[Count, doc("So many pairs of answers were compared.")] = 10000
    different: Annotated[Below, doc("Of these, fewer than this share differ.")] = 0.0001


class MoveRollback(Section, frozen=True, kw_only=True):
    """By how much the new side may be worse than the old one before all requests go back."""

    errors: Annotated[
        Above | None,
        doc("So many more of its requests end with 5xx or without a whole answer; `none`: not looked at."),
    ] = 0.005
    client_errors: Annotated[Above | None, doc("So many more of them end with 4xx.")] = 0.02
    p95: Annotated[
        Above | None, doc("Its 95th percentile of the time to the first byte is so much longer.")
    ] = 0.2


class Move(Section, frozen=True, kw_only=True):
    """Takes the requests to another upstream step by step, and back by itself once that one does worse."""

    to: Annotated[
        Text | None, doc("The name of that upstream; left out, the one that the route's `shadow` leads to.")
    ] = None
    when: Annotated[MoveWhen | None, doc("What the shadow has to have found; left out, nothing.")] = None
    steps: Annotated[
        tuple[Share, ...], doc("The shares of the requests that it gets, one after the other.", min_length=1)
    ] = (0.01, 0.1, 0.5, 1.0)
    hold: Annotated[Timeout, doc("How long each step is watched.")] = 600.0
    requests: Annotated[Count, doc("And how many requests it has to have answered in it, at least.")] = 100
    approve: Annotated[
        Literal["each", "first", "never"],
        doc(
            "Which steps wait for somebody's approval, by `tetrapylon move --approve`: each one, only the"
            " first, or none."
        ),
    ] = "each"
    rollback: Annotated[MoveRollback, doc("What makes it go back by itself.")] = MoveRollback()
    by: Annotated[
        BalanceKey | None,
        doc(
            "What keeps a client on its side: `client`, `path`, `header:NAME`, `cookie:NAME`, `query:NAME`;"
            " left out, each request is drawn anew."
        ),
    ] = None
