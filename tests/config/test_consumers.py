"""Who requests may be from, as the config has it: nobody is two, and secrets stay out of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.test_check import fine, said
from tetrapylon.config.model.credentials import attributes

KEY = "sha256:" + 64 * "a"
BCRYPT = "$2b$10$G6lYX2P.IHmoV6Q8s9Min.foYrubMR4Vo.kgW/lGfqOBBhRilD60W"
ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"


def consumers(*texts: str) -> list[str]:
    """The problems of a config with these consumers, without the file's name."""
    problems = said("consumers:\n" + "".join(f"  - {{{text}}}\n" for text in texts))
    return [problem.partition("consumers")[2] for problem in problems]


def test_a_consumer() -> None:
    fine(
        "consumers:\n"
        f"  - {{name: mobile, api_keys: ['{KEY}'], passwords: ['{BCRYPT}', '{ARGON2}'], groups: [partner],\n"
        "     hmac_keys: {mobile-1: 0123456789abcdef}, subjects: ['CN=a b\\, c,O=Acme'], metadata: {t: x}}\n"
        "  - {name: nobody}\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a, api_keys: [s3cr3t-key]", "[0].api_keys[0]: this is not the hash of a key; expected sha"),
        ("name: a, api_keys: ['sha256:s3cr3t']", "[0].api_keys[0]: this is not the hash of a key"),
        ("name: a, passwords: [s3cr3t]", "[0].passwords[0]: this is not the hash of a password"),
        ("name: a, passwords: ['$2b$99$s3cr3t']", "[0].passwords[0]: this is not the hash of a password"),
        ("name: a, hmac_keys: {k: s3cr3t}", "[0].hmac_keys.k: a secret of fewer than 16 bytes can"),
        ("name: a, subjects: [acme]", "[0].subjects[0]: 'acme' is not a subject; expected one such as CN="),
        ("name: a, groups: ['a, b']", "[0].groups[0]: 'a, b' is not a group; expected printable ASCII"),
        ("name: 'é'", "[0].name: 'é' is not a name; expected printable ASCII"),
        ("name: a, metadata: {x: \"a\\nb\"}", "[0].metadata.x: a header value holds no control characters"),
        ("api_keys: []", "[0]: `name` is missing; expected a name such as mobile"),
        ("name: a, api_kyes: []", "[0].api_kyes: unknown key; did you mean `api_keys`?"),
    ],
)  # fmt: skip
def test_what_is_not_a_credential(text: str, message: str) -> None:
    (problem,) = consumers(text)
    assert problem.startswith(message)
    assert "s3cr3t" not in problem


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("name: a", "name: a", "[1].name: 'a' is the name of consumers[0] too; choose another"),
        (
            f"name: a, api_keys: ['{KEY}']",
            f"name: b, api_keys: ['{KEY.replace('a', 'A').replace('shA', 'sha')}']",
            "[1].api_keys[0]: this key is a's already; leave one of them out",
        ),
        (
            "name: a, hmac_keys: {k: 0123456789abcdef}",
            "name: b, hmac_keys: {k: 0123456789abcdefg}",
            "[1].hmac_keys.k: a key of this id is a's already; leave one of them out",
        ),
        (
            "name: a, subjects: ['CN=x,O=Acme']",
            "name: b, subjects: ['cn=\\78,o=Acme']",
            "[1].subjects[0]: this subject is a's already; leave one of them out",
        ),
    ],
)
def test_nothing_is_two_consumers(one: str, other: str, message: str) -> None:
    assert consumers(one, other) == [message]


def test_one_consumer_says_a_thing_once() -> None:
    (problem,) = consumers(f"name: a, api_keys: ['{KEY}', '{KEY}']")
    assert problem == "[0].api_keys[1]: this key is this consumer's already; leave one of them out"


@given(
    st.lists(
        st.tuples(st.sampled_from(["CN", "O", "emailAddress"]), st.text(max_size=8)), min_size=1, max_size=4
    )
)
def test_a_subject_reads_as_it_was_written(parts: list[tuple[str, str]]) -> None:  # RFC 4514, 2.4
    parts = [(kind, value.encode("utf-8", "replace").decode()) for kind, value in parts]
    written = ",".join(
        kind
        + "="
        + "".join(
            c if c.isascii() and c.isalnum() else "".join(f"\\{b:02x}" for b in c.encode()) for c in value
        )
        for kind, value in parts
    )
    assert attributes(written) == [(kind.upper(), value) for kind, value in parts]
