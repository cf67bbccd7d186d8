"""Keys that are checked and rates that are limited: in a view, a decorator, a hook or a dependency."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from tetrapylon.migrate.calls import walk_own
from tetrapylon.migrate.inventory import AppRoute
from tetrapylon.migrate.project import Function, Module, Project, dotted

__all__ = ["Check", "Limit", "beside", "checks_of", "limits_of", "rates"]

SECRET = re.compile(r"key|token|auth|secret", re.I)
KNOWN = {
    "jwt_required": "bearer",
    "fresh_jwt_required": "bearer",
    "require_oauth": "bearer",
    "token_required": "bearer",
    "login_required": "session",
    "permission_required": "session",
}
RATE = re.compile(r"(\d+)\s*(?:/|per)\s*(\d*)\s*(second|minute|hour|day|s|m|h|d)s?", re.I)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Check:
    """`kind`: `api_key`, `bearer`, `basic`, or `session`, which no policy does."""

    kind: str
    where: str
    name: str = ""
    place: str = "header"


@dataclass(frozen=True)
class Limit:
    """`rates` as a policy has them; empty where the source does not say or they have no such form."""

    rates: tuple[str, ...]
    spelled: str
    where: str


def checks_of(
    project: Project, route: AppRoute, view: tuple[Module, Function] | None
) -> tuple[list[Check], set[int]]:
    """What checks who it is, and the lines of the view's own statements that do."""
    found = [Check(each.kind, "a dependency", each.name, each.place or "header") for each in route.guards]
    lines: set[int] = set()
    for place in route.before:
        there = project.at(place)
        if there is not None:
            found += _in(project, *there)
    if view is not None:
        module, function = view
        for decorator in function.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = (dotted(called) or "").rpartition(".")[2]
            own = project.function(module, called)
            seen = _in(project, *own) if own is not None else []
            found += seen
            if not seen and name in KNOWN:
                found.append(Check(KNOWN[name], f"{module.file}:{decorator.lineno}"))
        for statement in function.body:
            own_checks = _statement(project, module, statement, function)
            if own_checks:
                found += own_checks
                lines.add(statement.lineno)
        if lines:
            lines |= _reads(function)
    return list(dict.fromkeys(found)), lines


ROUTING = {
    *("route", "get", "post", "put", "patch", "delete", "head", "options", "api_route", "websocket"),
    *("limit", "shared_limit", "exempt", "ratelimit", "classmethod", "staticmethod", "csrf_exempt"),
    *("require_http_methods", "require_GET", "require_POST", "require_safe", "action", "api_view"),
}


def beside(project: Project, route: AppRoute, view: tuple[Module, Function] | None) -> list[tuple[str, str]]:
    """What else runs around a view, hooks and decorators of which nothing is known, and where it stands."""
    found = []
    for place in route.before:
        there = project.at(place)
        if there is None or not _in(project, *there):
            found.append((place.ref, f"{place.file}:{place.line}"))
    if view is not None:
        module, function = view
        for decorator in function.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            own = project.function(module, called)
            name = (dotted(called) or "").rpartition(".")[2]
            if (own is None or not _in(project, *own)) and name not in ROUTING | KNOWN.keys():
                found.append((f"@{ast.unparse(called)}", f"{module.file}:{decorator.lineno}"))
    return found


def _statement(project: Project, module: Module, node: ast.stmt, function: Function) -> list[Check]:
    """A statement of a view: one that refuses where a key is wrong, or calls a function that does."""
    if isinstance(node, ast.If) and _refuses(node):
        reads = _keys(function, module)
        names = {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
        direct = _keys(node.test, module)
        return direct or [check for line, check in _named(function, module) if line in names] if reads else []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        there = project.function(module, node.value.func)
        if there is not None and there[1] is not function:
            return _in(project, *there)
    return []


def _named(function: Function, module: Module) -> list[tuple[str, Check]]:
    """Variables that a key is read into."""
    found = []
    for node in walk_own(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found += [(node.targets[0].id, check) for check in _keys(node.value, module)]
    return found


def _reads(function: Function) -> set[int]:
    return {
        node.lineno
        for node in function.body
        if isinstance(node, ast.Assign) and any(map(_read, ast.walk(node.value)))
    }


def _in(project: Project, module: Module, function: Function) -> list[Check]:
    """A whole function: a decorator, a hook, a dependency."""
    return _keys(function, module) if _refuses(function) else []


def _refuses(node: ast.AST) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and each.value in (401, 403) and not isinstance(each.value, bool):
            return True
        name = each.id if isinstance(each, ast.Name) else each.attr if isinstance(each, ast.Attribute) else ""
        if (
            name in ("Unauthorized", "Forbidden", "HttpResponseForbidden", "PermissionDenied")
            or "_401_" in name
        ):
            return True
    return False


def _keys(node: ast.AST, module: Module) -> list[Check]:
    found = []
    words = {
        each.attr if isinstance(each, ast.Attribute) else each.id if isinstance(each, ast.Name) else ""
        for each in ast.walk(node)
    }
    for each in ast.walk(node):
        read = _read(each)
        if read is None or not SECRET.search(read[1]):
            continue
        place, name = read
        where = f"{module.file}:{getattr(each, 'lineno', 0)}"
        kind = "api_key"
        if name.lower() == "authorization":
            kind = "basic" if "b64decode" in words else "bearer" if words & {"jwt", "decode"} else "api_key"
        found.append(Check(kind, where, name, place))
    return list(dict.fromkeys(found))


def _read(node: ast.AST) -> tuple[str, str] | None:
    """`request.headers.get("X-API-Key")`, `request.args["key"]`: the place and the name."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and node.args
    ):
        owner, key = node.func.value, node.args[0]
    elif isinstance(node, ast.Subscript):
        owner, key = node.value, node.slice
    else:
        return None
    attribute = owner.attr if isinstance(owner, ast.Attribute) else ""
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return None
    if attribute == "headers":
        return "header", key.value
    if attribute == "META" and key.value.startswith("HTTP_"):
        return "header", "-".join(part.capitalize() for part in key.value[5:].split("_"))
    if attribute in ("args", "query_params", "GET"):
        return "query", key.value
    return ("cookie", key.value) if attribute in ("cookies", "COOKIES") else None


def limits_of(project: Project, view: tuple[Module, Function] | None) -> list[Limit]:
    """Those of flask-limiter, slowapi and django-ratelimit: of the view, else the app's default."""
    found: list[Limit] = []
    exempt = False
    if view is not None:
        module, function = view
        for decorator in function.decorator_list:
            name = (dotted(decorator) or "").rpartition(".")[2]
            exempt = exempt or name == "exempt"
            if not isinstance(decorator, ast.Call):
                continue
            name = (dotted(decorator.func) or "").rpartition(".")[2]
            if name in ("limit", "shared_limit", "ratelimit"):
                given = decorator.args[0] if decorator.args and name != "ratelimit" else None
                given = next(
                    (each.value for each in decorator.keywords if each.arg in ("rate", "limit_value")), given
                )
                if given is not None:
                    found.append(_limit(project, module, given))
    if found or exempt:
        return found
    for module in project.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] == "Limiter":
                for keyword in node.keywords:
                    if keyword.arg == "default_limits" and isinstance(keyword.value, ast.List):
                        found += [_limit(project, module, each) for each in keyword.value.elts]
    return found


def _limit(project: Project, module: Module, node: ast.expr) -> Limit:
    text = project.text(module, node, {})
    spelled = ast.unparse(node) if text is None else text
    return Limit(rates(text or ""), spelled, f"{module.file}:{node.lineno}")


def rates(text: str) -> tuple[str, ...]:
    """`100 per minute;5/second` as `100/m`, `5/s`; empty if any of it has no such form."""
    found = []
    for each in re.split(r"[;,|]", text):
        match = RATE.fullmatch(each.strip())
        if match is None:
            return ()
        unit = match[3][0].lower()
        count, seconds = int(match[1]), SECONDS[unit] * int(match[2] or 1)
        exact = next(
            (one for one, length in SECONDS.items() if count * length % seconds == 0 and length >= seconds),
            None,
        )
        if exact is None:
            return ()
        found.append(f"{count * SECONDS[exact] // seconds}/{exact}")
    return tuple(found)
