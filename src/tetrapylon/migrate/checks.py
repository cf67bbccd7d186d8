"""Keys that are checked and rates that are limited: in a view, a decorator, a hook or a dependency."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from tetrapylon.migrate.inventory import AppRoute
from tetrapylon.migrate.passing import read_of
from tetrapylon.migrate.project import Function, Module, Project, dotted, walk_own
from tetrapylon.migrate.values import text

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
GUARDING = re.compile(
    r"login|auth|permission|role|staff|admin|superuser|token|jwt|session|scope|user_passes|requires|required",
    re.I,
)
"""Names of decorators that are no one's here, and that ask who it is."""
RATE = re.compile(r"(\d+)\s*(?:/|per)\s*(\d*)\s*(second|minute|hour|day|s|m|h|d)s?", re.I)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Check:
    """`kind`: `api_key`, `bearer`, `basic`; or `session` and `own`, an app's rule, which no policy does."""

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
    key: str = "client"
    """As the policy has it; empty where it has no word for `by`."""
    by: str = ""


def checks_of(
    project: Project, route: AppRoute, view: tuple[Module, Function] | None
) -> tuple[list[Check], set[int]]:
    """What checks who it is, and the lines of the view's own statements that do."""
    found = [Check(each.kind, "a dependency", each.name, each.place or "header") for each in route.guards]
    lines: set[int] = set()
    for place in route.before:
        there = project.at(place)
        if there is not None:
            found += _around(project, *there)
    if view is not None:
        module, function = view
        found += _of_class(project, module, function)
        for decorator in _decorators(project, module, function):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = (dotted(called) or "").rpartition(".")[2]
            own = project.function(module, called)
            seen = _around(project, *own) if own is not None else []
            if name in KNOWN and not any(each.kind != "own" for each in seen):
                seen = [Check(KNOWN[name], f"{module.file}:{decorator.lineno}")]
            elif own is None and name not in ROUTING and GUARDING.search(name):
                seen = [Check("own", f"{module.file}:{decorator.lineno}")]
            found += seen
        for statement in function.body:
            own_checks = _statement(project, module, statement, function)
            if own_checks:
                found += own_checks
                lines.add(statement.lineno)
        if lines:
            lines |= _reads(function)
    return list(dict.fromkeys(found)), lines


def _decorators(project: Project, module: Module, function: Function) -> list[ast.expr]:
    """Of a function, and of its class: Django's `method_decorator`, Flask's `decorators`."""
    found = list(function.decorator_list)
    cls = project.owner(module, function)
    if cls is not None:
        found += cls.decorator_list
        for each in cls.body:
            if isinstance(each, ast.Assign) and any(dotted(one) == "decorators" for one in each.targets):
                found += each.value.elts if isinstance(each.value, ast.List | ast.Tuple) else [each.value]
    return [
        inner
        for each in found
        for inner in (
            each.args[:1]
            if isinstance(each, ast.Call) and (dotted(each.func) or "").endswith("method_decorator")
            else [each]
        )
    ]


def _of_class(project: Project, module: Module, function: Function) -> list[Check]:
    """What the class of a view says about who may see it."""
    cls = project.owner(module, function)
    if cls is None:
        return []
    asks = [base for base in cls.bases if (dotted(base) or "").rpartition(".")[2] in MIXINS]
    for each in cls.body:
        if isinstance(each, ast.Assign) and any(dotted(one) in ASKING for one in each.targets):
            names = {
                (dotted(one) or "").rpartition(".")[2]
                for one in ast.walk(each.value)
                if isinstance(one, ast.expr)
            }
            asks += [each.value] if names - {"", "AllowAny"} else []
    return [Check("session", f"{module.file}:{each.lineno}") for each in asks]


MIXINS = {"LoginRequiredMixin", "PermissionRequiredMixin", "UserPassesTestMixin", "AccessMixin"}
LIMITERS = ("flask_limiter.", "slowapi.", "django_ratelimit.")
ASKING = ("permission_classes", "authentication_classes")

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
        if place.ref.startswith(LIMITERS):
            continue  # it is what the limits of the view are told by
        if there is None or not _in(project, *there):
            found.append((place.ref, f"{place.file}:{place.line}"))
    if view is not None:
        module, function = view
        for decorator in _decorators(project, module, function):
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
    found = [
        (each.arg, check)
        for each, _ in _arguments(function)
        for check in _keys(function, module)
        if check.where == f"{module.file}:{each.lineno}"
    ]
    for node in walk_own(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found += [(node.targets[0].id, check) for check in _keys(node.value, module)]
    return found


def _reads(function: Function) -> set[int]:
    return {
        node.lineno
        for node in function.body
        if isinstance(node, ast.Assign) and any(map(read_of, ast.walk(node.value)))
    }


def _in(project: Project, module: Module, function: Function) -> list[Check]:
    """A whole function: a decorator, a hook, a dependency."""
    return _keys(function, module) if _refuses(function) else []


def _around(project: Project, module: Module, function: Function) -> list[Check]:
    """What runs before a view: one that refuses and reads no key does so by rules of its own."""
    found = _in(project, module, function)
    if not found and (_refuses(function) or _sends_away(function)):
        return [Check("own", f"{module.file}:{function.lineno}")]
    return found


def _sends_away(function: Function) -> bool:
    calls = (each for each in ast.walk(function) if isinstance(each, ast.Call))
    names = {(dotted(each.func) or "").rpartition(".")[2] for each in calls}
    return bool(
        names & {"redirect", "redirect_to_login", "RedirectResponse", "HttpResponseRedirect", "unauthorized"}
    )


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
    given = {id(each): read for each, read in _arguments(node)}
    for each in ast.walk(node):
        read = read_of(each) or given.get(id(each))
        if read is None or not SECRET.search(read[1]):
            continue
        place, name = read
        where = f"{module.file}:{getattr(each, 'lineno', 0)}"
        kind = "api_key"
        if name.lower() == "authorization":
            kind = "basic" if "b64decode" in words else "bearer" if words & {"jwt", "decode"} else "api_key"
        found.append(Check(kind, where, name, place))
    return list(dict.fromkeys(found))


def _arguments(function: ast.AST) -> list[tuple[ast.arg, tuple[str, str]]]:
    """Arguments that FastAPI reads from a header, a cookie or the query, with the place and the name."""
    if not isinstance(function, Function):
        return []
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults = {
        **{each.arg: value for each, value in zip(plain[::-1], given.defaults[::-1], strict=False)},
        **{each.arg: value for each, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)},
    }
    found = []
    for each in [*plain, *given.kwonlyargs]:
        parts = [part for part in (defaults.get(each.arg), each.annotation) if part is not None]
        for call in (one for part in parts for one in ast.walk(part) if isinstance(one, ast.Call)):
            kind = (dotted(call.func) or "").rpartition(".")[2]
            if kind in ("Header", "Cookie", "Query"):
                alias = next((word.value for word in call.keywords if word.arg == "alias"), None)
                spelled = str(alias.value) if isinstance(alias, ast.Constant) else each.arg
                if kind == "Header" and alias is None:
                    spelled = "-".join(part.capitalize() for part in spelled.split("_"))
                found.append((each, (kind.lower(), spelled)))
    return found


def limits_of(project: Project, view: tuple[Module, Function] | None) -> list[Limit]:
    """Those of flask-limiter, slowapi and django-ratelimit: of the view, else the app's default."""
    found: list[Limit] = []
    exempt = False
    limiters = [
        (module, node)
        for module in project.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] == "Limiter"
    ]
    home, usual = next(((module, _key_of(node, 0)) for module, node in limiters), (None, None))
    if view is not None:
        module, function = view
        for decorator in _decorators(project, module, function):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = (dotted(called) or "").rpartition(".")[2]
            exempt = exempt or name == "exempt"
            if not isinstance(decorator, ast.Call) or name not in ("limit", "shared_limit", "ratelimit"):
                continue
            given = decorator.args[0] if decorator.args and name != "ratelimit" else None
            given = next(
                (each.value for each in decorator.keywords if each.arg in ("rate", "limit_value")), given
            )
            if given is not None:
                by = _key_of(decorator, 1)
                place, by = (module, by) if by is not None or home is None else (home, usual)
                found.append(_limit(project, module, given, place, by))
    if found or exempt:
        return found
    for module, node in limiters:
        for keyword in node.keywords:
            if keyword.arg == "default_limits" and isinstance(keyword.value, ast.List):
                found += [
                    _limit(project, module, each, module, _key_of(node, 0)) for each in keyword.value.elts
                ]
    return found


def _key_of(call: ast.Call, at: int) -> ast.expr | None:
    """The function that tells whose requests are counted; None where it is not said."""
    named = next((each.value for each in call.keywords if each.arg in ("key_func", "key")), None)
    rest = [each for each in call.args[at:] if not isinstance(each, ast.Constant) and dotted(each) != "app"]
    return named if named is not None else rest[0] if rest else None


def _limit(project: Project, module: Module, node: ast.expr, home: Module, by: ast.expr | None) -> Limit:
    told = text(project, module, node, {})
    spelled = ast.unparse(node) if told is None else told
    key = _limited_by(project, home, by)
    return Limit(
        rates(told or ""), spelled, f"{module.file}:{node.lineno}", key, "" if by is None else ast.unparse(by)
    )


def _limited_by(project: Project, module: Module, by: ast.expr | None) -> str:
    """A `key` of the policy; empty for a function that it has no word for."""
    name = "" if by is None else (dotted(by) or "").rpartition(".")[2]
    if (
        by is None
        or name in ("get_remote_address", "get_ipaddr")
        or (isinstance(by, ast.Constant) and by.value == "ip")
    ):
        return "client"
    if isinstance(by, ast.Constant) and isinstance(by.value, str) and by.value.startswith("header:"):
        return by.value
    there = project.function(module, by)
    body = by.body if isinstance(by, ast.Lambda) else there[1] if there is not None else None
    reads = (
        {read for each in ast.walk(body) if (read := read_of(each)) is not None}
        if body is not None
        else set()
    )
    if len(reads) != 1:
        return ""
    ((place, field),) = reads
    return f"header:{field}" if place == "header" else ""


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
