"""The app's source, read with `ast`: functions by place, names to what they stand for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tetrapylon.migrate.inventory import Place

__all__ = ["CLIENTS", "Function", "Module", "Project", "dotted", "short", "walk_own"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
CLIENTS = {
    "requests.Session": "requests",
    "requests.session": "requests",
    "httpx.Client": "httpx",
    "httpx.AsyncClient": "httpx",
    "urllib3.PoolManager": "urllib3",
}


class Module:
    """One file: its imports, its assignments and functions at the top, and the clients that it makes."""

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file
        self.tree = ast.parse(Path(file).read_bytes(), file)
        self.imports: dict[str, str] = {}
        self.values: dict[str, ast.expr] = {}
        self.settings: dict[str, ast.expr] = {}
        """`app.config["NAME"] = value`, and `app.config.update(NAME=value)`."""
        self.classes: dict[str, ast.ClassDef] = {}
        self.client_settings: dict[str, list[tuple[str, ast.expr]]] = {}
        """Header fields, and by no name what else is set on a client after it was made."""
        self.functions: dict[str, Function] = {}
        self.clients: dict[str, ast.Call] = {}
        """By name or attribute: what is made with `requests.Session()` and its kin."""
        self._read()

    def _read(self) -> None:
        package = self.name if Path(self.file).name == "__init__.py" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    name = each.asname or each.name.partition(".")[0]
                    self.imports[name] = each.name if each.asname else name
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*parents, *([base] if base else [])])
                for each in node.names:
                    self.imports[each.asname or each.name] = f"{base}.{each.name}"
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self._client(target, node.value)
            elif isinstance(node, ast.With | ast.AsyncWith):
                for item in node.items:
                    if isinstance(item.context_expr, ast.Call) and item.optional_vars is not None:
                        self._client(item.optional_vars, item.context_expr)
        for statement in self.tree.body:
            if isinstance(statement, Function):
                self.functions[statement.name] = statement
            elif isinstance(statement, ast.ClassDef):
                self.classes[statement.name] = statement
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                if isinstance(statement.target, ast.Name):
                    self.values[statement.target.id] = statement.value
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self.values[target.id] = statement.value
        for node in ast.walk(self.tree):
            self._set(node)

    def _set(self, node: ast.AST) -> None:
        """What is set on the app's config, and on clients."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    owner = dotted(target.value) or ""
                    if owner.endswith(".config"):
                        self.settings[str(target.slice.value)] = node.value
                    elif owner.endswith(".headers"):
                        self._client_setting(owner, str(target.slice.value), node.value)
                elif isinstance(target, ast.Attribute) and target.attr in (
                    "auth",
                    "cert",
                    "params",
                    "cookies",
                ):
                    self._client_setting(dotted(target) or "", "", node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = dotted(node.func.value) or ""
            if node.func.attr in ("update", "from_mapping") and owner.endswith(".config"):
                self.settings |= {each.arg: each.value for each in node.keywords if each.arg is not None}
                given = node.args[0] if node.args else None
                for key, value in _members(given):
                    self.settings[key] = value
            elif node.func.attr == "update" and owner.endswith(".headers"):
                for key, value in _members(node.args[0] if node.args else None):
                    self._client_setting(owner, key, value)

    def _client_setting(self, owner: str, name: str, value: ast.expr) -> None:
        client = owner.split(".")[-2] if "." in owner else ""
        if client in self.clients:
            self.client_settings.setdefault(client, []).append((name, value))

    def _client(self, target: ast.expr, call: ast.Call) -> None:
        if self.resolve(call.func) in CLIENTS:
            name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
            self.clients[name] = call

    def resolve(self, node: ast.expr) -> str:
        """A dotted name with its first part as imported; empty for other expressions."""
        name = dotted(node)
        if name is None:
            return ""
        first, dot, rest = name.partition(".")
        return self.imports.get(first, first) + dot + rest


class Project:
    """The modules that are the app's own. `unread` names files that are no Python of this version."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules: dict[str, Module] = {}
        self.unread: list[str] = []
        for name, file in modules.items():
            try:
                self.modules[name] = Module(name, file)
            except (OSError, SyntaxError, ValueError) as error:
                self.unread.append(f"{file}: {error}")
        self._files = {module.file: module for module in self.modules.values()}

    def at(self, place: Place) -> tuple[Module, Function] | None:
        """The function that stands there; None for what is not the app's own."""
        module = self._files.get(place.file)
        if module is None:
            return None
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first == place.line:
                    return module, node
        return None

    def function(self, module: Module, node: ast.expr) -> tuple[Module, Function] | None:
        """The app's own function that is called by this name."""
        name = dotted(node)
        if name is not None and name in module.functions:
            return module, module.functions[name]
        where, _, last = module.resolve(node).rpartition(".")
        other = self.modules.get(where)
        return (other, other.functions[last]) if other is not None and last in other.functions else None

    def cls(self, module: Module, node: ast.expr) -> tuple[Module, ast.ClassDef] | None:
        """The app's own class of this name."""
        name = dotted(node)
        if name is not None and name in module.classes:
            return module, module.classes[name]
        where, _, last = module.resolve(node).rpartition(".")
        other = self.modules.get(where)
        return (other, other.classes[last]) if other is not None and last in other.classes else None

    def owner(self, module: Module, function: Function) -> ast.ClassDef | None:
        """The class that a method is of."""
        return next(
            (
                each
                for each in ast.walk(module.tree)
                if isinstance(each, ast.ClassDef) and function in each.body
            ),
            None,
        )

    def setting(self, name: str) -> tuple[Module, ast.expr] | None:
        """Of Flask's config: as it is set, or as classes and modules of settings have it, if they agree."""
        for each in self.modules.values():
            if name in each.settings:
                return each, each.settings[name]
        found = [
            (module, value)
            for module in self.modules.values()
            for body in [module.tree.body, *(cls.body for cls in module.classes.values())]
            for target, value in _assigned(body)
            if target == name and name.isupper()
        ]
        return found[0] if len({ast.unparse(value) for _, value in found}) == 1 else None

    def value(self, module: Module, node: ast.expr) -> tuple[Module, ast.expr] | None:
        """What a name at the top of a module, or a setting, stands for."""
        name = dotted(node)
        if isinstance(node, ast.Name) and node.id in module.values:
            return module, module.values[node.id]
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            key = str(node.slice.value)
            if (dotted(node.value) or "").endswith(".config"):
                return self.setting(key)
            found = self.value(module, node.value)
            if found is not None and isinstance(found[1], ast.Dict):
                for one, value in zip(found[1].keys, found[1].values, strict=True):
                    if isinstance(one, ast.Constant) and one.value == node.slice.value:
                        return found[0], value
            return None
        if name is not None:
            where, _, last = module.resolve(node).rpartition(".")
            if where == "django.conf.settings":
                for each in self.modules.values():
                    if "settings" in each.name.split(".") and last in each.values:
                        return each, each.values[last]
            other = self.modules.get(where)
            if other is not None and last in other.values:
                return other, other.values[last]
        return None


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for each in body:
        if isinstance(each, ast.Assign):
            yield from ((target.id, each.value) for target in each.targets if isinstance(target, ast.Name))
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.value is not None:
            yield each.target.id, each.value


def _members(node: ast.expr | None) -> Iterator[tuple[str, ast.expr]]:
    """Of a dict as it is written."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield str(key.value), value


def walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """All of a function but functions within it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield child
            yield from walk_own(child)


def dotted(node: ast.expr) -> str | None:
    """`a.b.c` as a text; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def short(place: str, root: str) -> str:
    """A file as people call it: from the working folder, or from where packages are installed."""
    return place.removeprefix(root).rpartition("/site-packages/")[2]
