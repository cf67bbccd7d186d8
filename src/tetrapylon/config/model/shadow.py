"""A route's second destination, whose answers are compared and never given."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tetrapylon.config.json_path import JsonPath
from tetrapylon.config.model.base import Count, Section, Text, Timeout, doc
from tetrapylon.config.net import HeaderName, Method
from tetrapylon.config.units import Share, Size

Amount = Annotated[float, Meta(ge=0)]


class Shadow(Section, frozen=True, kw_only=True):
    """Sends copies of requests to a second destination and compares its answers with those of the first."""

    to: Annotated[Text, doc("The name of the upstream that gets the copies.")]
    sample: Annotated[Share, doc("The share of the requests that is copied.")] = 0.1
    methods: Annotated[
        tuple[Method, ...],
        doc("Methods that are copied besides GET, HEAD and OPTIONS: what they do is done twice then."),
    ] = ()
    again: Annotated[
        Share,
        doc(
            "The share of the copied requests that the first destination is asked once more, if their method"
            " is safe: what differs there is noise. The first 20 are, in any case."
        ),
    ] = 0.1
    headers: Annotated[
        tuple[HeaderName, ...],
        doc("Header fields that are compared; left out, those that clients act on, such as Content-Type."),
    ] = ()
    ignore: Annotated[
        tuple[JsonPath, ...],
        doc("Paths into JSON bodies that do not matter, such as `meta.took`; `*` stands for any name."),
    ] = ()
    sets: Annotated[tuple[JsonPath, ...], doc("Paths to arrays whose order means nothing.")] = ()
    tolerance: Annotated[
        dict[JsonPath, Amount], doc("Paths to numbers, and how far two of them may lie apart.")
    ] = {}
    body: Annotated[Size, doc("Pairs with a larger body, on either side, are counted and not compared.")] = (
        65536
    )
    in_flight: Annotated[Count, doc("Samples under way at once, in each worker; more are dropped.")] = 64
    timeout: Annotated[Timeout, doc("For a whole copy; one that takes longer counts as no answer.")] = 5.0


class Diff(Section, frozen=True, kw_only=True):
    """Where it is kept how answers differ, and how moves stand."""

    file: Annotated[Text, doc("An SQLite file, made when it is needed.")] = "diff.sqlite"
    moves: Annotated[
        Text, doc("A second one, for where each `move` stands, with its steps and their evidence.")
    ] = "moves.sqlite"
    size: Annotated[
        Size, doc("How large the first may become; fuller, it is moved aside and begun anew.", ge=65536)
    ] = 67108864
