"""Answers of the gateway's own, as the config has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetrapylon._core.http.respond import Answer

if TYPE_CHECKING:
    from tetrapylon.config import model

__all__ = ["fixed_answer"]


def fixed_answer(respond: model.Respond) -> Answer:
    body = respond.body.encode()
    headers = [(name.encode(), value.encode()) for name, value in respond.headers.items()]
    if body and not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"Content-Type", respond.content_type.encode()))
    return Answer(respond.status, headers=headers, body=body)
