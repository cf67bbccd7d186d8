"""What the RFCs let another proxy do where this one refuses; it counts for nobody's failure."""

from tests.conformance.case import Check, body_here, closed, incomplete, status, taken

LINE_ENDS = "RFC 9112 2.2: a recipient may take a single LF for the end of a line"
WORDS = "RFC 9112 3: a recipient may part the request line at white space"
FOLDS = "RFC 9112 5.2: folds may be replaced by spaces"
SHOULD = "RFC 9112 2.2: what does not match the grammar should be refused, not must"
BOUNDS = "no RFC names a bound"
MET = "RFC 9110 10.1.1: an expectation that is not known may be passed on"
NAMES = "RFC 9110 5.1: underscores are part of a token"

ALLOWED: dict[str, dict[str, Check]] = {
    LINE_ENDS: dict.fromkeys(
        [
            "coding behind a bare LF",
            "a bare LF ends the trailers",
            "a trailer with a bare LF",
            "a bare LF ends the request line",
            "a bare LF ends a field line",
            "a bare LF ends the head",
            "bare LFs throughout",
            "two CRs end a field line",
            "answer: bare LFs",
            "a field ended by LF alone (CVE-2022-32214)",
            "a field ended by LF alone (CVE-2021-41136)",
            "LF for CRLF (CVE-2019-16785)",
        ],
        taken,
    ),
    WORDS: dict.fromkeys(
        [
            "a space before a request",
            "two spaces before the target",
            "two spaces before the version",
            "a tab before the target",
            "a tab before the version",
            "a space after the version",
        ],
        taken,
    ),
    FOLDS: dict.fromkeys(
        [
            "coding on a folded line",
            "a folded trailer",
            "obsolete folding by a space",
            "obsolete folding by a tab",
            "a folded empty line",
            "a folded Host",
            "answer: obsolete folding",
            "a space before a length (CVE-2024-27982)",
        ],
        taken,
    ),
    SHOULD: dict.fromkeys(
        [
            "no version",
            "HTTP/0.9",
            "a field without a colon",
            "a field without a name",
            "a name with a slash",
            "a name in brackets",
            "a name with a bracket",
            "a name with a byte past ASCII",
            "a trailer without a colon",
            "a trailer without a colon (CVE-2025-53643)",
            "a target with a fragment",
            "a query with a fragment",
            "a fragment in the target (CVE-2023-45539)",
            "absolute form of a scheme that is not served",
            "answer: a field without a colon",
            "answer: a field without a name",
        ],
        taken,
    ),
    BOUNDS: dict.fromkeys(
        [
            "an extension without bound",
            "extensions without bound, in small chunks",
            "extensions without bound (CVE-2024-22019)",
            "extensions out of proportion (CVE-2023-39326)",
            "answer: a chunk extension without bound",
            "trailers without bound",
            "trailers that never end (CVE-2024-21647)",
            "a trailer that is too long (CVE-2023-46589)",
            "space without bound in a trailer",
            "empty lines without bound",
        ],
        taken,
    ),
    MET: dict.fromkeys(["an expectation that nobody knows", "nearly 100-continue"], taken | status(417)),
    NAMES: dict.fromkeys(
        [
            "a length with an underscore in its name",
            "coding with an underscore in its name",
            "a length and Content_Length that differ",
            "a length with an underscore in the trailers",
            "Content_Length beside a length (CVE-2024-6827)",
            "X_Forwarded_For is not X-Forwarded-For",
            "X_Forwarded_Proto is not X-Forwarded-Proto",
            "X_Forwarded_Host is not X-Forwarded-Host",
        ],
        taken,
    ),
    "RFC 9112 6.3: the coding may be believed, if the connection is closed": dict.fromkeys(
        [
            "length, then chunked",
            "chunked, then length",
            "a length of zero, and chunked",
            "chunked and a length with capitals",
        ],
        taken & closed,
    ),
    "RFC 9112 6.3: the coding of an answer goes before its length": dict.fromkeys(
        [
            "answer: length and coding",
            "answer: coding and length",
            "an answer with a coding and a length (CVE-2024-24795)",
        ],
        taken & body_here(b"hello"),
    ),
    "RFC 9110 8.6: leading zeros are part of the grammar": dict.fromkeys(
        ["a length with leading zeros becomes plain", "answer: a length with leading zeros"], taken
    ),
    "RFC 9110 15.3.5: 204 ends with its head": dict.fromkeys(["answer: 204 with a coding"], status(204)),
    "RFC 9113 3.3: a proxy may speak HTTP/2": dict.fromkeys(["HTTP/2 preface"], incomplete),
    "RFC 9110 9.3.6: a proxy may hand CONNECT on": dict.fromkeys(["CONNECT"], taken),
}
