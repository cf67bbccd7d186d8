"""What its operator should know of the httptools that is installed."""

from tetrapylon._core.http import parse
from tetrapylon.telemetry.events import say


def tell() -> None:
    """Warns where messages are read the slower way; for the first of the processes that share the module."""
    if parse.misfit is not None:
        say(
            "warning",
            f"llhttp inside httptools {parse.misfit}: reading messages by httptools' public API instead, "
            "which takes more CPU; a tetrapylon made for this httptools would not",
        )
