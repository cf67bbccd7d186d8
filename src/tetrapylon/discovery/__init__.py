"""Targets that are found while the gateway serves: by DNS, in a file, in etcd, or by a class of your own.

A registry is a class with one method:

    class Consul:
        class Settings(msgspec.Struct, frozen=True):
            address: str

        def __init__(self, settings: Settings) -> None: ...

        async def targets(self) -> AsyncIterator[Sequence[str | tetrapylon.Target]]: ...

`targets` gives the whole set, again and again, whenever it may have changed: URLs, or targets with weight,
priority and zone. It lives in the control process, on that one's loop, so it must not block. What it raises
is told, and after a pause it is asked anew; the last good set stays in use meanwhile.
"""

from tetrapylon.discovery.registry import Registry

__all__ = ["Registry"]
