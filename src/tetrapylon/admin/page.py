"""The admin page: one document, made of its three parts, that asks for nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256

from tetrapylon.admin.answer import Answer

__all__ = ["page"]


@cache
def page() -> Answer:
    """What runs in it are its own style and script alone, known by their hashes (CSP level 2)."""
    # Here, for it brings shutil, tempfile and the compressors, which the other processes need not share.
    from importlib import resources

    parts = resources.files("tetrapylon.admin")
    style = parts.joinpath("page.css").read_text(encoding="utf-8")
    script = parts.joinpath("page.js").read_text(encoding="utf-8")
    text = parts.joinpath("page.html").read_text(encoding="utf-8")
    policy = (
        "default-src 'none'",
        f"style-src {_hash(style)}",
        f"script-src {_hash(script)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    fields = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", "; ".join(policy)),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"),
    ]
    return Answer(200, fields, text.replace("{style}", style).replace("{script}", script).encode())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
