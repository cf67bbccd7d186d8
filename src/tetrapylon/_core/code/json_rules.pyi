"""What JSON has to keep to beyond its grammar: no name twice in an object, not too deep, UTF-8."""

from typing import Final

from typing_extensions import disjoint_base

@disjoint_base
class BadJson(Exception):
    """Refused; `path` names the value, as `items[3].price`, or is empty."""

    what: Final[str]
    path: Final[str]
    def __init__(self, what: str, path: str) -> None: ...

def check(data: bytes) -> None:
    """Raises BadJson for what breaks the rules. Malformed JSON passes: its decoder says better why."""
