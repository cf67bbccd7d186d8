"""Reads `{use: NAME, **settings}`: the settings against the Struct that the policy's class carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tetrapylon import catalog
from tetrapylon._core.http.template import unknown
from tetrapylon.config import shape
from tetrapylon.config.model import Config, PluginOptions, PolicyUse
from tetrapylon.config.shape import FAILED, Section, nearest
from tetrapylon.config.tree import Node, Path, Report
from tetrapylon.errors import LoadError

__all__ = ["PolicySection", "check_policies", "plain", "settings_section"]

PARAMETER = re.compile(r"\{(\w+)")
UNSENT = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


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
        if ":" in name:
            return self.read_plugin(name, given, path, report)
        if name not in catalog.POLICIES:
            self.unknown_policy(name, (*path, "use"), report)
            return FAILED
        if report.document.native:
            path = (*path, "settings")
            if "options" in given and given["options"].value is not None:
                report.add((*path[:-1], "options"), f"{name} is no plugin of yours", "leave it out")
                return FAILED
            given = given["settings"].value if "settings" in given else {}
        else:
            given = {key: child for key, child in given.items() if key != "use"}
        settings = settings_section(name)
        built = settings.build(settings.read_fields(given, path, report), path, report)
        if built is FAILED or report.touched(path):
            return FAILED
        kind = catalog.policy(name)
        if hasattr(kind, "resolve"):
            try:
                built = kind.resolve(built)
            except ValueError as error:
                report.add_error(path, error)
                return FAILED
        return PolicyUse(use=name, settings=plain(built))

    def read_plugin(self, name: str, given: dict[str, Node], path: Path, report: Report) -> Any:
        """A class of the user's: its settings by its own Struct, and beside them what any plugin has."""
        from tetrapylon.code.load import place_of
        from tetrapylon.plugin import read_plugin

        try:
            kind = read_plugin(name)
        except LoadError as error:
            where = f" ({error.where})" if error.where else ""
            report.add((*path, "use"), error.message + where, error.hint)
            return FAILED
        try:
            settings = shape.section(kind.settings)
        except TypeError as error:
            where = place_of(kind.settings)
            report.add((*path, "use"), f"{name}.Settings has a type that no config holds: {error} ({where})")
            return FAILED
        options = shape.section(PluginOptions)
        reserved = sorted(set(settings.fields) & set(options.fields))
        if reserved:
            hint = "choose another name"
            what = f"{name}.Settings has `{reserved[0]}`, a key of every plugin ({place_of(kind.settings)})"
            report.add((*path, "use"), what, hint)
            return FAILED
        inside = path
        if report.document.native:
            own = given["settings"].value if "settings" in given else {}
            inside = (*path, "settings")
            general = (given["options"].value or {}) if "options" in given else {}
        else:
            rest = {key: node for key, node in given.items() if key != "use"}
            general = {key: rest.pop(key) for key in list(rest) if _is_of(key, options, settings)}
            own = rest
        built = settings.build(settings.read_fields(own, inside, report), inside, report)
        general = options.build(options.read_fields(general, path, report), path, report)
        if built is FAILED or general is FAILED:
            return FAILED
        if general.run_in == "process" and (unfit := kind.bound_to_the_loop()):
            what = f"{name}.{unfit} cannot run in a process ({place_of(getattr(kind.cls, unfit))})"
            report.add(
                (*path, "run_in"), what, "expected plain hooks of whole messages; or run it in a thread"
            )
            return FAILED
        return PolicyUse(use=name, settings=plain(built), options=general)

    def unknown_policy(self, name: str, path: Path, report: Report) -> None:
        close = nearest(name, catalog.POLICIES)
        known = ", ".join(sorted(catalog.POLICIES))
        hint = f"did you mean {close}?" if close else f"expected one of {known}" if known else ""
        report.add(path, f"there is no policy {name!r}", hint)


def plain(settings: msgspec.Struct) -> dict[str, Any]:
    """As they are once they were written and read again: two configs can be compared then."""
    found: dict[str, Any] = _listed(msgspec.to_builtins(settings))
    return found


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(each) for key, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, (list, tuple)) else value


def _is_of(key: str, options: Section, settings: Section) -> bool:
    """Does the key belong to any plugin, rightly spelt or not, and not to this one's settings?"""
    if key in settings.fields or key in options.fields:
        return key in options.fields
    return bool(nearest(key, options.fields)) and not nearest(key, settings.fields)


def check_policies(config: Config, report: Report) -> None:
    """What the policies themselves find wrong with their settings; see `Policy` in `_core/policy.pyi`."""
    readable = _readable(config)
    for path, use in _uses(config):
        if use is FAILED or report.touched(path):
            continue
        if ":" in use.use:
            continue
        kind = catalog.policy(use.use)
        place = (*path, "settings") if report.document.native else path
        if hasattr(kind, "check"):
            for inside, what, hint in kind.check(msgspec.convert(use.settings, kind.Settings), readable):
                report.add((*place, *inside), what, hint)
        if hasattr(kind, "texts"):
            parameters: list[str] = []
            if path[0] == "routes" and isinstance(path[1], int) and path[2] == "policies":
                parameters = PARAMETER.findall(config.routes[path[1]].path or "")
            for inside, text, groups in kind.texts(msgspec.convert(use.settings, kind.Settings)):
                _check_template((*place, *inside), text, (*parameters, *groups), report)


def _readable(config: Config) -> Config:
    """Without the consumers and listeners that could not be read, which the report tells."""
    listen = tuple(each for each in config.server.listen if each is not FAILED)
    return msgspec.structs.replace(
        config,
        server=msgspec.structs.replace(config.server, listen=listen),
        consumers=tuple(each for each in config.consumers if each is not FAILED),
    )


def _check_template(path: Path, text: str, names: tuple[str, ...], report: Report) -> None:
    try:
        found = unknown(text, names)
    except ValueError as error:
        report.add_error(path, error)
        return
    if found is not None:
        name, known = found
        close = nearest(name, known)
        hint = f"did you mean {{{close}}}?" if close else f"expected one of {', '.join(known)}"
        report.add(path, f"{{{name}}} means nothing here", hint)
    elif UNSENT.search(text) is not None:
        what = "it holds what neither a field nor a target may (RFC 9110, 5.5)"
        report.add(path, what, "expected Latin-1 text without control characters")


def _uses(config: Config) -> Iterator[tuple[Path, PolicyUse]]:
    for index, use in enumerate(config.policies):
        yield ("policies", index), use
    for number, route in enumerate(config.routes):
        if route is not FAILED:
            for index, use in enumerate(route.policies):
                yield ("routes", number, "policies", index), use
            for name, part in (route.aggregate or {}).items():
                for index, use in enumerate(part.policies if part is not FAILED else ()):
                    yield ("routes", number, "aggregate", name, "policies", index), use


shape.register(PolicySection(PolicyUse))
