"""The table: every case, by what it is about."""

from dataclasses import replace

from tests.conformance.case import Case
from tests.conformance.cases import (
    bodies,
    connections,
    cves,
    fields,
    framing,
    lenient,
    responses,
    syntax,
    targets,
)

ROOMS = {
    "Framing of requests": framing.CASES,
    "Chunked bodies": bodies.CASES,
    "Syntax of request heads": syntax.CASES,
    "Targets and Host": targets.CASES,
    "Fields": fields.CASES,
    "Connections": connections.CASES,
    "Responses": responses.CASES,
    "Published vulnerabilities": cves.CASES,
}
MAY = {name: check for named in lenient.ALLOWED.values() for name, check in named.items()}
ROOMS = {room: [replace(case, may=MAY.get(case.name)) for case in cases] for room, cases in ROOMS.items()}
CASES: list[Case] = [case for cases in ROOMS.values() for case in cases]
