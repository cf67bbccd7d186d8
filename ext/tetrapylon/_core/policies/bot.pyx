"""`bot`: programs that say who they are, and are not wanted."""

from tetrapylon._core.buffer cimport USER_AGENT, Head, Header, head_known
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict

from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.model.base import doc

cdef enum:
    KNOWN = 4096            # names whose verdict is remembered
    LONGEST = 512           # bytes of a name that are looked at


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


cdef class Bot(Policy):
    cdef list deny
    cdef list allow
    cdef bint empty
    cdef dict known             # name -> is it refused
    cdef Refusal refusal

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        self.deny = [word.lower().encode() for word in settings.deny]
        self.allow = [word.lower().encode() for word in settings.allow]
        self.empty = settings.empty
        self.known = {}
        title = {403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}[settings.status]
        self.refusal = Refusal(settings.status, "bot", title, "This client is not served here.")

    @staticmethod
    def check(settings, config):
        """An empty word is in every name."""
        for kind in ("deny", "allow"):
            for index, word in enumerate(getattr(settings, kind)):
                if not word:
                    yield (kind, index), "an empty word is part of every name", "leave it out"

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Header* line = head_known(head, USER_AGENT)
        cdef bytes name
        cdef object refused
        if line is NULL or line.value_length == 0:
            return CONTINUE if self.empty else refuse(x, self.refusal)
        name = (head.data + line.value)[:min(line.value_length, <unsigned int>LONGEST)]
        refused = self.known.get(name)
        if refused is None:
            if len(self.known) >= KNOWN:
                self.known.clear()
            refused = self.known[name] = self.refuses(name.lower())
        return refuse(x, self.refusal) if refused else CONTINUE

    cdef object refuses(self, bytes name):
        for word in self.allow:
            if word in name:
                return False
        for word in self.deny:
            if word in name:
                return True
        return False
