"""Where an upstream's targets are found while the gateway serves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from tetrapylon.config.model.base import Section, Text, Timeout, doc
from tetrapylon.config.net import DnsName, DnsServer, EtcdUrl
from tetrapylon.config.secrets import Secret
from tetrapylon.config.units import Duration

Port = Annotated[int, Meta(ge=1, le=65535)]


class Dns(Section, frozen=True, kw_only=True):
    """Each address of a name is a target, or each SRV record's; asked for again when the TTL is over.

    Needs `tetrapylon[dns]`.
    """

    name: Annotated[DnsName, doc("The name: of a host, or `_service._proto.name` for `srv`.")]
    port: Annotated[Port | None, doc("Of every address; with `srv` the records tell.")] = None
    srv: Annotated[
        bool, doc("Ask for SRV (RFC 2782): hosts and ports, with their weights and priorities.")
    ] = False
    scheme: Annotated[
        Literal["http", "https"], doc("What the targets speak; `https` is verified against the name.")
    ] = "http"
    servers: Annotated[
        tuple[DnsServer, ...],
        doc("The resolvers, `address` or `address:port`; those of the system when left out."),
    ] = ()
    least: Annotated[Timeout, doc("Between two look-ups, however small the TTL.")] = 1.0
    most: Annotated[Timeout, doc("Between two look-ups, however large the TTL.")] = 300.0
    timeout: Annotated[
        Timeout, doc("For one answer; after three tries without one the look-up has failed.")
    ] = 2.0


class File(Section, frozen=True, kw_only=True):
    """A YAML, JSON or TOML file: a list of targets as `targets` has it, or a mapping with `targets`."""

    path: Annotated[Text, doc("Where it is, from the directory the gateway runs in.")]
    every: Annotated[Timeout, doc("Between two looks at it.")] = 0.5


class Etcd(Section, frozen=True, kw_only=True):
    """Each key below a prefix is a target: its value a URL, or a target in JSON. Over etcd's v3 JSON API."""

    endpoints: Annotated[
        tuple[EtcdUrl, ...], doc("Of the cluster's members; the first that answers is asked.", min_length=1)
    ]
    prefix: Annotated[Text, doc("What the keys begin with, such as `/services/users/`.")]
    user: Annotated[Text | None, doc("Where etcd asks who is there.")] = None
    password: Annotated[Secret | None, doc("The user's; `${NAME}` keeps it out of the file.")] = None
    ca: Annotated[
        Text | None, doc("A PEM file: the CAs trusted for `https` endpoints; the system's own when left out.")
    ] = None
    timeout: Annotated[Timeout, doc("For one answer.")] = 5.0
    refresh: Annotated[Duration, doc("All keys are read again this often, in addition to the watch.")] = 60.0


class Discover(Section, frozen=True, kw_only=True):
    """Exactly one of these. `targets` are what is used until it has answered."""

    dns: Annotated[Dns | None, doc("By A, AAAA or SRV records.")] = None
    file: Annotated[File | None, doc("From a file that is watched.")] = None
    etcd: Annotated[Etcd | None, doc("From etcd, by a prefix of its keys.")] = None
    use: Annotated[
        Text | None, doc("A class of your own, `module:Class`; see the guide on upstreams that fail.")
    ] = None
    settings: Annotated[dict[str, Any], doc("What that class is given, by its own `Settings`.")] = {}
