"""What an expression stands for, as far as the source tells: a text, an object of the app's own, a client."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from tetrapylon.migrate.project import CLIENTS, Function, Module, Project, dotted, walk_own

__all__ = [
    "Client",
    "Instance",
    "Known",
    "Names",
    "bound",
    "client_of",
    "known",
    "method_of",
    "named",
    "text",
]

DEEPEST = 12
"""Names that are followed one after the other."""


@dataclass(frozen=True)
class Instance:
    """An object of one of the app's classes. `names` is what it was made with."""

    module: Module
    cls: ast.ClassDef
    names: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class Client:
    """What requests are made with. `base` stands before addresses without a host; None: it is not known."""

    library: str
    base: str | None = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Header fields that it adds."""
    own: tuple[str, ...] = ()
    """What else it adds, as it is spelled."""


Known = str | Instance | Client
Names = Mapping[str, Known]


def text(project: Project, module: Module, node: ast.expr, names: Names) -> str | None:
    """A text, with `{name}` for what is called so and `${NAME}` for the environment; None if unknown."""
    found = known(project, module, node, names)
    return found if isinstance(found, str) else None


def known(project: Project, module: Module, node: ast.expr, names: Names) -> Known | None:
    return _Reading(project).known(module, node, names, 0)


def client_of(project: Project, module: Module, node: ast.expr, names: Names) -> Client | None:
    """What stands before `.get(...)`: a client by what it is, or else by its name."""
    found = known(project, module, node, names)
    if isinstance(found, Client):
        return found
    last = _last(node)
    for home in [module, *project.modules.values()]:
        if last and last in home.clients:
            made = _Reading(project).client(home, home.clients[last], {}, 0)
            return made and _with_settings(project, home, last, made)
    return None


def method_of(project: Project, instance: Instance, name: str) -> tuple[Module, Function] | None:
    for module, cls in _line(project, instance.module, instance.cls):
        for each in cls.body:
            if isinstance(each, Function) and each.name == name:
                return module, each
    return None


def named(project: Project, module: Module, function: Function) -> dict[str, Known]:
    """What a view's arguments stand for: `{name}`, or what its dependencies give."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults: dict[str, ast.expr | None] = {
        **{each.arg: value for each, value in zip(plain[::-1], given.defaults[::-1], strict=False)},
        **{each.arg: value for each, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)},
    }
    reading = _Reading(project)
    return {
        each.arg: reading.argument(module, each, defaults.get(each.arg)) or f"{{{each.arg}}}"
        for each in [*plain, *given.kwonlyargs]
    }


def bound(
    project: Project, caller: Module, call: ast.Call, names: Names, callee: tuple[Module, Function]
) -> dict[str, Known]:
    """What the arguments of a function are, called so; those that are not known are left out."""
    return _Reading(project).bound(caller, call, names, *callee, 0)


class _Reading:
    def __init__(self, project: Project) -> None:
        self.project = project

    def known(self, module: Module, node: ast.expr, names: Names, depth: int) -> Known | None:
        if depth > DEEPEST:
            return None
        if isinstance(node, ast.Constant):
            return str(node.value) if isinstance(node.value, str | int) else None
        if isinstance(node, ast.JoinedStr):
            return self._joined(module, node.values, names, depth)
        if isinstance(node, ast.FormattedValue):
            return self.known(module, node.value, names, depth)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp):
            return self._operation(module, node, names, depth)
        if isinstance(node, ast.Call):
            return self._called(module, node, names, depth)
        if isinstance(node, ast.Await):
            return self.known(module, node.value, names, depth)
        if isinstance(node, ast.Subscript) and module.resolve(node.value) == "os.environ":
            name = self._text(module, node.slice, {}, depth)
            return None if name is None else f"${{{name}}}"
        if (dotted(node) or "") in WHOLE_PATH:
            return "{request.path}"
        if isinstance(node, ast.Attribute):
            owner = self.known(module, node.value, names, depth + 1)
            if isinstance(owner, Instance):
                return self._attribute(owner, node.attr, depth + 1)
        found = self.project.value(module, node)
        if found is None:
            return None
        there = self.known(found[0], found[1], {}, depth + 1)
        return (
            _with_settings(self.project, found[0], _last(node), there) if isinstance(there, Client) else there
        )

    def _text(self, module: Module, node: ast.expr, names: Names, depth: int) -> str | None:
        found = self.known(module, node, names, depth + 1)
        return found if isinstance(found, str) else None

    def _joined(self, module: Module, parts: list[ast.expr], names: Names, depth: int) -> str | None:
        found = [self._text(module, each, names, depth) for each in parts]
        return None if None in found else "".join(part for part in found if part is not None)

    def _operation(self, module: Module, node: ast.BinOp, names: Names, depth: int) -> str | None:
        left = self._text(module, node.left, names, depth)
        if left is None:
            return None
        if isinstance(node.op, ast.Add):
            right = self._text(module, node.right, names, depth)
            return None if right is None else left + right
        if isinstance(node.op, ast.Mod):
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            parts = left.replace("%d", "%s").split("%s")
            found = [self._text(module, each, names, depth) for each in values]
            if None in found or len(parts) != len(found) + 1 or "%" in "".join(parts):
                return None
            return parts[0] + "".join(f"{each}{part}" for each, part in zip(found, parts[1:], strict=True))
        return None

    def _called(self, module: Module, node: ast.Call, names: Names, depth: int) -> Known | None:
        called = module.resolve(node.func)
        if called in ("os.environ.get", "os.getenv") and node.args:
            name = self._text(module, node.args[0], {}, depth)
            default = self._text(module, node.args[1], {}, depth) if len(node.args) > 1 else None
            if name is None:
                return None
            return f"${{{name}}}" if default is None else f"${{{name}:-{default}}}"
        if called == "urllib.parse.urljoin" and len(node.args) == 2:
            base, rest = (self._text(module, each, names, depth) for each in node.args)
            return None if base is None or rest is None else base.rstrip("/") + "/" + rest.lstrip("/")
        if called == "str" and len(node.args) == 1:
            return self._text(module, node.args[0], names, depth)
        if called == "httpx.URL":
            path = next((each.value for each in node.keywords if each.arg == "path"), None)
            given = path if path is not None else node.args[0] if node.args else None
            told = None if given is None else self._text(module, given, names, depth)
            return told if told is None or path is None else "/" + told.lstrip("/")
        if called.endswith("request.get_full_path"):
            return "{request.path}"
        if called in CLIENTS:
            return self.client(module, node, names, depth)
        cls = self.project.cls(module, node.func)
        if cls is not None:
            init = method_of(self.project, Instance(*cls), "__init__")
            return Instance(*cls, {} if init is None else self.bound(module, node, names, *init, depth))
        function = self.project.function(module, node.func)
        if function is not None:
            return self._given(*function, self.bound(module, node, names, *function, depth), depth)
        return self._method(module, node, names, depth)

    def _method(self, module: Module, node: ast.Call, names: Names, depth: int) -> Known | None:
        if not isinstance(node.func, ast.Attribute):
            return None
        owner, verb = node.func.value, node.func.attr
        if verb == "get" and node.args and (dotted(owner) or "").endswith("config"):
            at = ast.Subscript(value=owner, slice=node.args[0], ctx=ast.Load())
            return self.known(module, at, names, depth + 1)
        if verb in ("rstrip", "strip"):
            inner = self._text(module, owner, names, depth)
            return inner.rstrip("/") if inner is not None else None
        if verb == "format":
            return self._formatted(module, owner, node, names, depth)
        if verb == "join" and len(node.args) == 1 and isinstance(node.args[0], ast.List | ast.Tuple):
            between = self._text(module, owner, names, depth)
            parts = [self._text(module, each, names, depth) for each in node.args[0].elts]
            return None if between is None or None in parts else between.join(map(str, parts))
        found = self.known(module, owner, names, depth + 1)
        if isinstance(found, Instance):
            method = method_of(self.project, found, verb)
            if method is not None:
                given = self.bound(module, node, names, *method, depth)
                return self._given(*method, {**given, "self": found}, depth)
        return None

    def _formatted(
        self, module: Module, owner: ast.expr, node: ast.Call, names: Names, depth: int
    ) -> str | None:
        pattern = owner.value if isinstance(owner, ast.Constant) else self._text(module, owner, {}, depth)
        given = [self._text(module, each, names, depth) for each in node.args]
        by_name = {each.arg or "": self._text(module, each.value, names, depth) for each in node.keywords}
        if not isinstance(pattern, str) or None in given or None in by_name.values():
            return None
        try:
            return pattern.format(*given, **by_name)
        except (LookupError, ValueError):
            return None

    def _attribute(self, owner: Instance, name: str, depth: int) -> Known | None:
        for module, cls in _line(self.project, owner.module, owner.cls):
            init = next(
                (each for each in cls.body if isinstance(each, Function) and each.name == "__init__"), None
            )
            for node in walk_own(init) if init is not None else ():
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    if any(dotted(each) == f"self.{name}" for each in targets):
                        found = self.known(module, node.value, {"self": owner, **owner.names}, depth + 1)
                        if isinstance(found, Client):
                            return _with_settings(self.project, module, name, found)
                        return found
            for each in cls.body:
                target = each.targets[0] if isinstance(each, ast.Assign) else getattr(each, "target", None)
                if not isinstance(target, ast.Name) or target.id != name:
                    continue
                value = getattr(each, "value", None)
                found = self.known(module, value, {}, depth + 1) if value is not None else None
                prefix = _settings_prefix(cls)
                if prefix is None:
                    return found
                variable = f"{prefix}{name}".upper()
                return f"${{{variable}:-{found}}}" if isinstance(found, str) else f"${{{variable}}}"
        return None

    def client(self, module: Module, made: ast.Call, names: Names, depth: int) -> Client | None:
        library = CLIENTS.get(module.resolve(made.func))
        if library is None:
            return None
        base: str | None = ""
        fields: dict[str, str] = {}
        own: list[str] = []
        for each in made.keywords:
            if each.arg == "base_url":
                base = self._text(module, each.value, names, depth)
                base = None if base is None else base.rstrip("/")
            elif each.arg == "headers" and isinstance(each.value, ast.Dict):
                for key, value in zip(each.value.keys, each.value.values, strict=True):
                    told = self._text(module, value, names, depth)
                    if isinstance(key, ast.Constant) and told is not None:
                        fields[str(key.value)] = told
                    else:
                        own.append(ast.unparse(each.value))
            elif each.arg in ("headers", "auth", "params", "cookies", "cert"):
                own.append(f"{each.arg}={ast.unparse(each.value)}")
        return Client(library, base, fields, tuple(own))

    def _given(self, module: Module, function: Function, names: Names, depth: int) -> Known | None:
        """What a function returns, or yields, where that is one thing."""
        results = [
            node.value
            for node in walk_own(function)
            if isinstance(node, ast.Return | ast.Yield) and node.value is not None
        ]
        if len(results) != 1:
            return None
        result: ast.expr = results[0]
        if isinstance(result, ast.Name) and result.id not in names:
            name = result.id
            for node in walk_own(function):
                if isinstance(node, ast.Assign) and any(dotted(each) == name for each in node.targets):
                    result = node.value
                elif isinstance(node, ast.With | ast.AsyncWith):
                    for item in node.items:
                        if item.optional_vars is not None and dotted(item.optional_vars) == name:
                            result = item.context_expr
        return self.known(module, result, names, depth + 1)

    def argument(self, module: Module, given: ast.arg, default: ast.expr | None) -> Known | None:
        """What a framework, or its type, gives an argument."""
        annotation = given.annotation
        if isinstance(annotation, ast.Name) and annotation.id not in module.classes:
            found = self.project.value(module, annotation)
            if found is not None:
                module, annotation = found
        parts = [default] if default is not None else []
        if isinstance(annotation, ast.Subscript) and _last(annotation.value) == "Annotated":
            inside = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            annotation = inside[0]
            parts += inside[1:]
        for part in parts:
            if isinstance(part, ast.Call) and _last(part.func) in ("Depends", "Security") and part.args:
                call = ast.Call(func=part.args[0], args=[], keywords=[])
                return self.known(module, call, {}, 1)
        if annotation is None:
            return None
        if module.resolve(annotation) in CLIENTS:
            return Client(CLIENTS[module.resolve(annotation)], None)
        cls = self.project.cls(module, annotation)
        return None if cls is None else Instance(*cls)

    def bound(
        self, caller: Module, call: ast.Call, names: Names, module: Module, function: Function, depth: int
    ) -> dict[str, Known]:
        given = function.args
        plain = [*given.posonlyargs, *given.args]
        if plain and plain[0].arg in ("self", "cls"):
            plain = plain[1:]
        values = {
            each.arg: (module, value) for each, value in zip(plain[::-1], given.defaults[::-1], strict=False)
        }
        values |= {each.arg: (caller, value) for each, value in zip(plain, call.args, strict=False)}
        values |= {each.arg: (caller, each.value) for each in call.keywords if each.arg is not None}
        found = {
            name: self.known(home, value, names if home is caller else {}, depth + 1)
            for name, (home, value) in values.items()
        }
        return {name: each for name, each in found.items() if each is not None}


WHOLE_PATH = ("request.path", "request.full_path", "request.url.path", "request.path_info")


def _line(project: Project, module: Module, cls: ast.ClassDef) -> list[tuple[Module, ast.ClassDef]]:
    """A class and those of the app's own that it is derived from."""
    found = [(module, cls)]
    for home, each in found:
        for base in each.bases:
            there = project.cls(home, base)
            if there is not None and there not in found and len(found) < DEEPEST:
                found.append(there)
    return found


def _settings_prefix(cls: ast.ClassDef) -> str | None:
    """Of pydantic's settings, whose values the environment gives; None for any other class."""
    if not any(_last(base) == "BaseSettings" for base in cls.bases):
        return None
    for node in ast.walk(cls):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "env_prefix"
            and isinstance(node.value, ast.Constant)
        ):
            return str(node.value.value)
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and any(dotted(each) == "env_prefix" for each in node.targets)
        ):
            return str(node.value.value)
    return ""


def _with_settings(project: Project, module: Module, name: str, client: Client) -> Client:
    """What is set on it after it was made: `session.headers["X-Internal"] = TOKEN`, `session.auth = ...`."""
    fields, own = dict(client.fields), list(client.own)
    for key, value in module.client_settings.get(name, ()):
        told = text(project, module, value, {})
        if key and told is not None:
            fields[key] = told
        else:
            own.append(ast.unparse(value))
    return Client(client.library, client.base, fields, tuple(own))


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
