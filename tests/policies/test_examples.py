"""What documentation shows is read as a user's config would be."""

import re
from pathlib import Path

import pytest

from tetrapylon import catalog
from tetrapylon.config import loads

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs" / "identity.md").read_text(encoding="utf-8"), re.DOTALL
)
IDENTITY = ("acl", "api_key", "basic", "forward_auth", "hmac", "ip", "jwt", "mtls")


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 5


HEAD = """
upstreams: {shop: {targets: [http://127.0.0.1:9000]}, login: {targets: [http://127.0.0.1:9001]}}
consumers:
  - name: mobile
    api_keys: ["sha256:5dde896887f6754c9b15bfe3a441ae4806df2fde94001311e08bf110622e0bbe"]
    passwords: ["$2b$10$G6lYX2P.IHmoV6Q8s9Min.foYrubMR4Vo.kgW/lGfqOBBhRilD60W"]
    hmac_keys: {mobile-1: 0123456789abcdef}
"""


@pytest.mark.parametrize("name", sorted(set(IDENTITY) - {"mtls"}))
def test_the_example_of_each(name: str) -> None:
    example = catalog.policy(name).Settings.example
    loads(f"{HEAD}routes: [{{path: /, upstream: shop, policies: [{example}]}}]", "example.yaml")


@pytest.mark.parametrize("text", BLOCKS, ids=lambda text: text[:20])
def test_the_guide(text: str) -> None:
    loads(text, "guide.yaml")
