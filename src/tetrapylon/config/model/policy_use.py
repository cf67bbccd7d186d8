"""The use of a policy, in any list of them."""

from __future__ import annotations

from typing import Annotated, Any

from tetrapylon.config.model.base import Section, doc
from tetrapylon.config.model.code import PluginOptions


class PolicyUse(Section, frozen=True, kw_only=True):
    """A policy in a list of policies: its name in `use`, its settings beside it.

    `settings` holds builtin values that convert to the policy's own `Settings` Struct; in Python,
    `PolicyUse(use="request_id", settings={"header": "X-Id"})`.
    """

    use: Annotated[str, doc("The policy's name; of a plugin, your own class, `module:Class`.", min_length=1)]
    settings: Annotated[dict[str, Any], doc("The policy's own settings.")] = {}
    options: Annotated[
        PluginOptions | None, doc("Of a plugin: what is no setting of its own; in a file, beside these.")
    ] = None
