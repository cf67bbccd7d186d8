"""The app's source, read with `ast`: functions by place, names to what they stand for, texts as templates."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from tetrapylon.migrate.inventory import Place

__all__ = ["Function", "Module", "Project", "dotted", "short"]

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
        """`app.config["NAME"] = value`."""
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
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                if isinstance(statement.target, ast.Name):
                    self.values[statement.target.id] = statement.value
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self.values[target.id] = statement.value
                    elif (
                        isinstance(target, ast.Subscript)
                        and isinstance(target.slice, ast.Constant)
                        and (dotted(target.value) or "").endswith(".config")
                    ):
                        self.settings[str(target.slice.value)] = statement.value

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

    def value(self, module: Module, node: ast.expr) -> tuple[Module, ast.expr] | None:
        """What a name at the top of a module, or a setting, stands for."""
        name = dotted(node)
        if isinstance(node, ast.Name) and node.id in module.values:
            return module, module.values[node.id]
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            key = str(node.slice.value)
            if (dotted(node.value) or "").endswith(".config"):
                for each in self.modules.values():
                    if key in each.settings:
                        return each, each.settings[key]
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

    def text(self, module: Module, node: ast.expr, names: Mapping[str, str]) -> str | None:
        """A text, with `{name}` for what is called so and `${NAME}` for the environment; None if unknown."""
        if isinstance(node, ast.Constant):
            return str(node.value) if isinstance(node.value, str | int) else None
        if isinstance(node, ast.JoinedStr):
            parts = [self.text(module, each, names) for each in node.values]
            return None if None in parts else "".join(part for part in parts if part is not None)
        if isinstance(node, ast.FormattedValue):
            return self.text(module, node.value, names)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.text(module, node.left, names), self.text(module, node.right, names)
            return None if left is None or right is None else left + right
        if isinstance(node, ast.Call):
            return self._called(module, node, names)
        if isinstance(node, ast.Subscript) and module.resolve(node.value) == "os.environ":
            name = self.text(module, node.slice, {})
            return None if name is None else f"${{{name}}}"
        if (dotted(node) or "") in (
            "request.path",
            "request.full_path",
            "request.url.path",
            "request.path_info",
        ):
            return "{request.path}"
        found = self.value(module, node)
        return None if found is None else self.text(found[0], found[1], {})

    def _called(self, module: Module, node: ast.Call, names: Mapping[str, str]) -> str | None:
        called = module.resolve(node.func)
        if called in ("os.environ.get", "os.getenv") and node.args:
            name = self.text(module, node.args[0], {})
            default = self.text(module, node.args[1], {}) if len(node.args) > 1 else None
            if name is None:
                return None
            return f"${{{name}}}" if default is None else f"${{{name}:-{default}}}"
        if called == "urllib.parse.urljoin" and len(node.args) == 2:
            base, rest = (self.text(module, each, names) for each in node.args)
            return None if base is None or rest is None else base.rstrip("/") + "/" + rest.lstrip("/")
        if called == "str" and len(node.args) == 1:
            return self.text(module, node.args[0], names)
        if called.endswith("request.get_full_path"):
            return "{request.path}"
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("rstrip", "strip"):
            inner = self.text(module, node.func.value, names)
            return inner.rstrip("/") if inner is not None else None
        return None


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
