"""Aggregates: the parts that an answer is made of."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from tetrapylon.config.json_path import JsonPath
from tetrapylon.config.model.base import Section, Text, Timeout, doc
from tetrapylon.config.model.policy_use import PolicyUse
from tetrapylon.config.net import HeaderName, Method, PartName
from tetrapylon.config.units import Size

__all__ = ["Part", "PartName"]


class Part(Section, frozen=True, kw_only=True):
    """One request of an aggregate; its answer, JSON, is a member of the whole.

    `pick`, `drop` and `rename` work on it in that order, then `flatten` and `group` say where it goes.
    """

    upstream: Annotated[Text, doc("The name of the upstream to ask.")]
    path: Annotated[
        Text,
        doc(
            "The path to ask for, with its query: `{id}` stands for a parameter of the route's path,"
            " `{user.team}` for a field of the part `user`, which is asked first; `{query}`, `{header:NAME}`"
            " and other variables of templates stand for what the client said."
        ),
    ]
    method: Annotated[Method, doc("The method to ask with.")] = "GET"
    body: Annotated[bool, doc("It is sent the request's body, with its `Content-Type`.")] = False
    forward: Annotated[
        tuple[HeaderName, ...],
        doc("The client's fields that are sent to it, besides those that policies have set."),
    ] = ("Accept-Language", "Authorization", "Traceparent", "Tracestate", "X-Request-Id")
    required: Annotated[
        bool,
        doc("Where it fails: the whole answer does; `false`: it is left out, and `X-Partial` names it."),
    ] = True
    default: Annotated[
        Any | UnsetType, doc("What stands in its place where it fails and is not required.")
    ] = UNSET
    pass_through: Annotated[
        tuple[Annotated[int, Meta(ge=400, le=499)], ...],
        doc("Statuses with which its answer becomes the client's, as it is: 404 of what all is about."),
    ] = ()
    timeout: Annotated[
        Timeout | None, doc("For all of it; longer: it has failed. The upstream's own hold, too.")
    ] = None
    limit: Annotated[Size, doc("How large its answer may be; larger: it has failed.", le=2**30)] = 2**20
    pick: Annotated[tuple[JsonPath, ...], doc("The fields that stay of it, by path; all when left out.")] = ()
    drop: Annotated[tuple[JsonPath, ...], doc("Fields that are left out.")] = ()
    rename: Annotated[dict[JsonPath, Text], doc("New names of fields, by path.")] = {}
    flatten: Annotated[
        bool, doc("Its members are members of the answer, which so has none of the part's name.")
    ] = False
    group: Annotated[
        Text | None, doc("The member of the answer, an object, that it goes into, with others of that group.")
    ] = None
    policies: Annotated[tuple[PolicyUse, ...], doc("Policies of its own, for this part alone.")] = ()
