"""`bot`: programs that say who they are, and are not wanted."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc

class Settings(Struct, frozen=True, kw_only=True):
    """Refuses programs by the name that they give themselves in `User-Agent`: the honest and the careless."""

    deny: Annotated[
        tuple[str, ...],
        doc(
            "Words in the names of those refused, in either case; the default are well-known vulnerability"
            " scanners."
        ),
    ] = (
        "acunetix",
        "dirbuster",
        "feroxbuster",
        "gobuster",
        "masscan",
        "nessus",
        "netsparker",
        "nikto",
        "nmap",
        "nuclei",
        "openvas",
        "sqlmap",
        "wpscan",
        "zgrab",
    )
    allow: Annotated[
        tuple[str, ...], doc("Words in the names of those let through, whatever `deny` says.")
    ] = ()
    empty: Annotated[bool, doc("Whether to let those through that give no name.")] = True
    status: Annotated[Literal[403, 404, 429], doc("The answer's status.")] = 403

_Settings = Settings

@disjoint_base
class Bot(Policy):
    """Refuses programs by name."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
