"""The policies: one line each, name -> class, imported when a config uses it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["POLICIES", "policy"]

POLICIES: dict[str, str] = {
    "acl": "tetrapylon._core.policies.acl:Acl",
    "api_key": "tetrapylon._core.policies.api_key:ApiKey",
    "basic": "tetrapylon._core.policies.basic:Basic",
    "bot": "tetrapylon._core.policies.bot:Bot",
    "cache": "tetrapylon._core.policies.cache:Cache",
    "compress": "tetrapylon._core.policies.compress:Compress",
    "concurrency": "tetrapylon._core.policies.concurrency:Concurrency",
    "cors": "tetrapylon._core.policies.cors:Cors",
    "decompress": "tetrapylon._core.policies.decompress:Decompress",
    "fault": "tetrapylon._core.policies.fault:Fault",
    "filter": "tetrapylon._core.policies.filter:Filter",
    "forward_auth": "tetrapylon._core.policies.forward_auth:ForwardAuth",
    "headers": "tetrapylon._core.policies.headers:Headers",
    "hmac": "tetrapylon._core.policies.hmac:Hmac",
    "ip": "tetrapylon._core.policies.ip:Ip",
    "jwt": "tetrapylon._core.policies.jwt:Jwt",
    "maintenance": "tetrapylon._core.policies.maintenance:Maintenance",
    "mirror": "tetrapylon._core.policies.mirror:Mirror",
    "mtls": "tetrapylon._core.policies.mtls:Mtls",
    "quota": "tetrapylon._core.policies.quota:Quota",
    "rate_limit": "tetrapylon._core.policies.rate_limit:RateLimit",
    "record": "tetrapylon._core.policies.record:Record",
    "redirect": "tetrapylon._core.policies.redirect:Redirect",
    "request_id": "tetrapylon._core.policies.request_id:RequestId",
    "rewrite": "tetrapylon._core.policies.rewrite:Rewrite",
    "security_headers": "tetrapylon._core.policies.security_headers:SecurityHeaders",
    "server_timing": "tetrapylon._core.policies.server_timing:ServerTiming",
    "traceparent": "tetrapylon._core.policies.traceparent:TraceParent",
    "transform": "tetrapylon._core.policies.transform:Transform",
    "validate": "tetrapylon._core.policies.validate:Validate",
}


def policy(name: str) -> Any:
    """The class of the policy called `name`. Raises KeyError if there is none.

    Its attribute `Settings` is the msgspec Struct of its settings; without it, it has none.
    """
    module, _, attribute = POLICIES[name].partition(":")
    return getattr(import_module(module), attribute)


def stamps_all(name: str) -> bool:
    """Does it mark answers, too, that are given without a route? A plugin, `module:Class`, does not."""
    return name in POLICIES and getattr(policy(name), "stamps_all", False)
