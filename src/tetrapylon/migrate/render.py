"""The routes as text: what is known of each as comments, and below them the route."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tetrapylon.migrate.inventory import AppRoute, Inventory
from tetrapylon.migrate.project import Project, short
from tetrapylon.migrate.propose import Proposal, Services, flow, propose

__all__ = ["REST", "Entry", "entries", "fresh", "marked", "services_text"]

REST = "/{rest:path}"
NAMES = re.compile(r"\{\w+")


@dataclass
class Entry:
    """What one route of the config stands for: rules of the app that a route cannot tell apart are one."""

    path: str
    host: str | None
    methods: list[str]
    routes: list[AppRoute]
    lines: list[str]
    """Comments, without the `#`."""

    @property
    def rule(self) -> str:
        return comment(self.routes[0].rule)

    @property
    def rules(self) -> set[str]:
        return {comment(route.rule) for route in self.routes}

    def key(self) -> tuple[str, str | None]:
        return shape(self.path), self.host

    def route(self, app: str) -> dict[str, Any]:
        made: dict[str, Any] = {"path": self.path}
        if self.methods:
            made["methods"] = self.methods
        if self.host is not None:
            made["host"] = self.host
        return {**made, "app": app}


def shape(path: str) -> str:
    """A path without the names of its parameters: routes of one shape match the same."""
    return NAMES.sub("{", path)


def entries(inventory: Inventory, services: Services, root: str) -> list[Entry]:
    """In the app's order; of the same shape, host and method, the first counts, as it does in the app."""
    project = Project(inventory.modules)
    inventory.notes += [f"not read: {each}" for each in project.unread]
    found: list[Entry] = []
    for route in inventory.routes:
        same = [each for each in found if each.key() == (shape(route.path), route.host)]
        taken = {method for each in same for method in each.methods}
        open_to_all = any(not each.methods for each in same)
        new = [method for method in route.methods if method not in taken]
        lines = list(route.notes)
        says = [line for proposal in propose(project, route, services, root) for line in _proposal(proposal)]
        if open_to_all or (same and (not route.methods or set(new) <= {"HEAD", "OPTIONS"})):
            same[-1].routes.append(route)
            same[-1].lines += [f"also {_named(route, root)}", *lines, *says]
            continue
        found.append(Entry(route.path, route.host, new, [route], [*lines, *says]))
    return found


def _proposal(proposal: Proposal) -> list[str]:
    lines = list(proposal.says)
    if proposal.route is not None:
        native = dict(proposal.route)
        if proposal.policies:
            native["policies"] = proposal.policies
        if proposal.beside:
            lines.append(f"a native route has nothing of: {', '.join(proposal.beside)}")
        lines += ["the same without the app:", f"  - {flow(native)}"]
    elif proposal.policies:
        lines += ["before the app, as the route's:", f"  policies: {flow(proposal.policies)}"]
    return lines


def _named(route: AppRoute, root: str) -> str:
    view = route.view
    where = f" ({short(view.file, root)}:{view.line})" if view.file else ""
    return comment(f"{','.join(route.methods) or 'any'} {route.rule} -> {view.ref}{where}")


def comment(text: str) -> str:
    """On one line: a rule may have line breaks in it, and YAML takes no other control characters."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def marked(entry: Entry, state: str, root: str) -> str:
    """The line that a further run knows it by."""
    first = entry.routes[0]
    methods = ",".join(entry.methods) or "any"
    return f"# [{state}] {methods} {_named(first, root).partition(' ')[2]}"


def block(entry: Entry, app: str, root: str, indent: str) -> list[str]:
    lines = [
        f"{indent}{marked(entry, 'legacy', root)}",
        *(f"{indent}#   {comment(each)}" for each in entry.lines),
    ]
    return [*lines, f"{indent}- {flow(entry.route(app))}", ""]


def services_text(services: Services) -> list[str]:
    if not services.targets:
        return []
    lines = ["# What the views call; take the # away as routes move there.", "# upstreams:"]
    return [*lines, *(f"#   {name}: {flow({'targets': [to]})}" for name, to in services.targets.items()), ""]


def fresh(
    target: str, app: str, inventory: Inventory, found: list[Entry], services: Services, root: str
) -> str:
    """A whole config."""
    lines = [
        f"# The routes of {target} ({inventory.framework}), all of them served by the app as before.",
        f"# Written by `tetrapylon migrate {target}`. Run it again as the app grows: what you edit",
        "# stays, new routes are added, those that have gone are named. It knows a route by the line above",
        "# it, with its state: legacy (the app's), shadow, canary (a share goes elsewhere), moved,",
        "# or vanished (not in the app any more).",
        *(f"# Note: {comment(note)}" for note in inventory.notes),
        "",
        "server:",
        "  listen: [127.0.0.1:8080]",
        "",
        "apps:",
        f"  {app}: {flow({inventory.interface: target})}",
        "",
        *services_text(services),
        "routes:",
    ]
    for entry in found:
        lines += block(entry, app, root, "  ")
    if not any(shape(entry.path) == shape(REST) and not entry.methods for entry in found):
        lines += [
            "  # All the rest is the app's too: its 404s, redirects to a slash, and other methods.",
            f"  - {flow({'path': REST, 'app': app})}",
        ]
    return "\n".join(lines).rstrip() + "\n"
