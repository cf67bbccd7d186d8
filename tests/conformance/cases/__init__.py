"""The table: every case, by what it is about."""

from tests.conformance.case import Case
from tests.conformance.cases import bodies, connections, cves, fields, framing, responses, syntax, targets

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
CASES: list[Case] = [case for cases in ROOMS.values() for case in cases]
