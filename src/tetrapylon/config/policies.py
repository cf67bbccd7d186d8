"""Reads `{use: NAME, **settings}`: the settings against the Struct that the policy's class carries."""

from __future__ import annotations

from typing import Any

import msgspec

from tetrapylon import catalog
from tetrapylon._version import VERSION
from tetrapylon.config import shape
from tetrapylon.config.model import PolicyUse
from tetrapylon.config.shape import FAILED, Section, nearest
from tetrapylon.config.tree import Node, Path, Report

__all__ = ["PolicySection", "settings_section"]


class _None(msgspec.Struct, frozen=True):
    """The settings of a policy without any."""


def settings_section(name: str) -> Section:
    """The shape of a policy's settings. Raises KeyError if there is no such policy."""
    return shape.section(getattr(catalog.policy(name), "Settings", _None))


class PolicySection(Section):
    """A policy in a list; what stands beside `use` is the policy's own."""

    def read(self, node: Node, path: Path, report: Report) -> Any:
        given = node.value
        if type(given) is not dict:
            return super().mismatch(node, path, report, "write {use: NAME}")
        use = self.fields["use"].shape
        if "use" not in given:
            report.add(path, "`use` is missing", "expected the name of a policy")
            return FAILED
        name = use.read(given["use"], (*path, "use"), report)
        if name is FAILED:
            return FAILED
        if name not in catalog.POLICIES:
            self.unknown_policy(name, (*path, "use"), report)
            return FAILED
        if report.document.native:
            path = (*path, "settings")
            given = given["settings"].value if "settings" in given else {}
        else:
            given = {key: child for key, child in given.items() if key != "use"}
        settings = settings_section(name)
        built = settings.build(settings.read_fields(given, path, report), path, report)
        if built is FAILED:
            return FAILED
        return PolicyUse(use=name, settings=msgspec.to_builtins(built))

    def unknown_policy(self, name: str, path: Path, report: Report) -> None:
        if ":" in name:
            report.add(path, f"policies of your own ({name}) are not supported by version {VERSION}")
            return
        close = nearest(name, catalog.POLICIES)
        known = ", ".join(sorted(catalog.POLICIES))
        hint = f"did you mean {close}?" if close else f"expected one of {known}" if known else ""
        report.add(path, f"there is no policy {name!r}", hint)


shape.register(PolicySection(PolicyUse))
