"""A checked config on its way to another process, which needs no parser to read it."""

from __future__ import annotations

import msgspec

from tetrapylon.config.model import Config

__all__ = ["decode", "encode"]

_decoder = msgspec.msgpack.Decoder(Config)


def encode(config: Config) -> bytes:
    """A checked config as MessagePack."""
    return msgspec.msgpack.encode(config)


def decode(data: bytes) -> Config:
    """What `encode` took. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data)
