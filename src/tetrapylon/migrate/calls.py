"""Calls of a view to other services, and whether it does anything beside."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tetrapylon.migrate.project import Function, Module, Project, dotted

__all__ = ["Call", "Doing", "read_view", "walk_own"]

VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request"}
LIBRARIES = ("requests", "httpx", "urllib3")
DEPTH = 3
WHOLE = {"content", "text", "data", "raw"}
"""A response's attributes that are its whole body."""
READ = {"json", "read", "iter_content", "iter_bytes", "aiter_bytes", "iter_raw", "aiter_raw", "get_data"}
ANSWERS = {
    "Response",
    "make_response",
    "jsonify",
    "JSONResponse",
    "HttpResponse",
    "JsonResponse",
    "PlainTextResponse",
    "StreamingResponse",
    "StreamingHttpResponse",
    "stream_with_context",
    "ORJSONResponse",
    "loads",
}
QUIET = {"abort", "raise_for_status", "info", "debug", "warning", "error", "exception", "log", "pop", "close"}


@dataclass(eq=False)
class Call:
    """One request to another service. `url` is a template, None where it is not known from the source."""

    library: str
    method: str | None
    """None: the client's own."""
    url: str | None
    spelled: str
    file: str
    line: int
    name: str = ""
    """The variable that its answer goes to."""


@dataclass
class Doing:
    """What a view does. `more` are lines that do something that neither forwards nor merges."""

    calls: list[Call] = field(default_factory=list)
    forwards: bool = False
    parts: dict[str, Call] = field(default_factory=dict)
    """What it merges: members of its answer."""
    more: list[int] = field(default_factory=list)


def walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """All of a function but functions within it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield child
            yield from walk_own(child)


def read_view(project: Project, module: Module, function: Function, guards: set[int]) -> Doing:
    """`guards` are the lines of statements that are accounted for: those that check a key."""
    reader = _Reader(project, module)
    names = {each.arg: f"{{{each.arg}}}" for each in _arguments(function)}
    return reader.read(function, names, guards, 0)


def _arguments(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


class _Reader:
    def __init__(self, project: Project, module: Module) -> None:
        self.project = project
        self.module = module
        self.doing = Doing()
        self.holds: dict[str, Call] = {}
        """Variables that are an answer, or its whole body."""
        self.names: dict[str, str] = {}
        self.plain: set[str] = set()
        """Variables that are made from the request alone."""

    def read(self, function: Function, names: Mapping[str, str], guards: set[int], depth: int) -> Doing:
        self.names = dict(names)
        self.depth = depth
        self.guards = guards
        self.returned: list[Call | None] = []
        self.block(function.body)
        doing = self.doing
        whole = bool(self.returned) and all(each is not None for each in self.returned)
        doing.forwards = whole and len(doing.calls) == 1 and not doing.more
        return doing

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        if node.lineno in self.guards or isinstance(
            node, ast.Import | ast.ImportFrom | ast.Pass | ast.Global
        ):
            return
        if isinstance(node, ast.Expr):
            if isinstance(node.value, ast.Constant) or self.quiet(node.value):
                return
            self.body_of(node.value)
            self.doing.more.append(node.lineno)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self.assign(targets[0], node.value, node.lineno)
        elif isinstance(node, ast.Return):
            self.answer(node)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                call = self.body_of(item.context_expr)
                if call is not None and isinstance(item.optional_vars, ast.Name):
                    self.hold(item.optional_vars.id, call)
            self.block(node.body)
        elif isinstance(node, ast.Try):
            self.block(node.body + node.orelse)
            for handler in node.handlers:
                if not all(self.refuses(each) for each in handler.body):
                    self.doing.more.append(handler.lineno)
            self.block(node.finalbody)
        elif isinstance(node, ast.If) and self.about_answer(node.test) and all(map(self.refuses, node.body)):
            self.block(node.orelse)
        elif isinstance(node, ast.Raise):
            pass
        else:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call):
                    self.body_of(inner)
            self.doing.more.append(node.lineno)

    def assign(self, target: ast.expr, value: ast.expr, line: int) -> None:
        if isinstance(target, ast.Tuple):
            gathered = self.gathered(value, len(target.elts))
            for each, call in zip(target.elts, gathered or [], strict=False):
                if isinstance(each, ast.Name) and call is not None:
                    self.hold(each.id, call)
            if gathered is None:
                self.doing.more.append(line)
            return
        call = self.body_of(value)
        name = target.id if isinstance(target, ast.Name) else None
        if call is not None and name is not None:
            self.hold(name, call)
            return
        text = self.text(value)
        if name is not None and text is not None:
            self.names[name] = text
        elif name is not None and self.of_request(value):
            self.plain.add(name)
        elif not (isinstance(target, ast.Subscript) and self.of_request(target.value)):
            self.doing.more.append(line)

    def hold(self, name: str, call: Call) -> None:
        self.holds[name] = call
        call.name = call.name or name

    def gathered(self, value: ast.expr, count: int) -> list[Call | None] | None:
        """`await asyncio.gather(a, b)`, or a tuple."""
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.Call) and self.module.resolve(value.func) == "asyncio.gather":
            each = value.args
        elif isinstance(value, ast.Tuple):
            each = value.elts
        else:
            return None
        found = [self.body_of(one) for one in each]
        return found if len(found) == count and None not in found else None

    def answer(self, node: ast.Return) -> None:
        value = node.value
        if value is None:
            self.doing.more.append(node.lineno)
            return
        if isinstance(value, ast.Tuple) and value.elts:
            value = value.elts[0]
        call = self.body_of(value)
        if call is not None:
            self.returned.append(call)
            return
        members = self.members(value)
        parts = {name: self.body_of(each) for name, each in members.items()} if members else {}
        if parts and None not in parts.values():
            self.doing.parts = {name: each for name, each in parts.items() if each is not None}
        else:
            self.doing.more.append(node.lineno)
        self.returned.append(None)

    def members(self, value: ast.expr) -> dict[str, ast.expr] | None:
        """Of the object that is answered with: a dict, or `jsonify(a=..., b=...)`."""
        if isinstance(value, ast.Call) and _last(value.func) in ANSWERS | {"dict"}:
            if value.args:
                return self.members(value.args[0])
            return {each.arg: each.value for each in value.keywords if each.arg is not None}
        if isinstance(value, ast.Dict):
            keys = [each.value for each in value.keys if isinstance(each, ast.Constant)]
            if len(keys) == len(value.keys) and all(isinstance(each, str) for each in keys):
                return {str(key): each for key, each in zip(keys, value.values, strict=True)}
        return None

    def body_of(self, node: ast.expr) -> Call | None:
        """The call whose answer, or whole body, this is."""
        if isinstance(node, ast.Await):
            return self.body_of(node.value)
        if isinstance(node, ast.Name):
            return self.holds.get(node.id)
        if isinstance(node, ast.Attribute):
            return self.body_of(node.value) if node.attr in WHOLE else None
        if not isinstance(node, ast.Call):
            return None
        outbound = self.outbound(node)
        if outbound is not None:
            return outbound
        if isinstance(node.func, ast.Attribute) and node.func.attr in READ:
            return self.body_of(node.func.value)
        if _last(node.func) in ANSWERS and node.args:
            return self.body_of(node.args[0])
        return self.inlined(node)

    def inlined(self, node: ast.Call) -> Call | None:
        """A call of a function of the app's own that itself only forwards."""
        found = self.project.function(self.module, node.func)
        if found is None or self.depth >= DEPTH:
            return None
        module, function = found
        names = {}
        arguments = _arguments(function)
        bound = [*zip(arguments, node.args, strict=False)]
        for keyword in node.keywords:
            bound += [(each, keyword.value) for each in arguments if each.arg == keyword.arg]
        for each, value in bound:
            text = self.text(value)
            if text is not None:
                names[each.arg] = text
        reader = _Reader(self.project, module)
        doing = reader.read(function, names, set(), self.depth + 1)
        if not doing.calls:
            return None
        self.doing.calls += doing.calls
        if not doing.forwards:
            self.doing.more.append(node.lineno)
            return None
        return doing.calls[0]

    def outbound(self, node: ast.Call) -> Call | None:
        function = node.func
        name = self.module.resolve(function)
        library, _, verb = name.rpartition(".")
        base = ""
        if library not in LIBRARIES or verb not in VERBS:
            if not isinstance(function, ast.Attribute) or function.attr not in VERBS:
                return None
            client = _last(function.value)
            made = self.module.clients.get(client)
            home = self.module
            for each in self.project.modules.values():
                if made is None and client in each.clients:
                    made, home = each.clients[client], each
            if made is None:
                return None
            library, verb = home.resolve(made.func).partition(".")[0], function.attr
            given = next((each.value for each in made.keywords if each.arg == "base_url"), None)
            if given is not None:
                base = (self.project.text(home, given, {}) or "").rstrip("/")
        arguments = list(node.args)
        method: str | None = verb.upper()
        if verb == "request":
            first = arguments.pop(0) if arguments else _keyword(node, "method")
            method = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        url = arguments[0] if arguments else _keyword(node, "url")
        text = self.text(url) if url is not None else None
        spelled = ast.unparse(url) if url is not None else "?"
        call = Call(
            library, method, None if text is None else base + text, spelled, self.module.file, node.lineno
        )
        if all(each.line != call.line or each.file != call.file for each in self.doing.calls):
            self.doing.calls.append(call)
            return call
        return next(each for each in self.doing.calls if (each.line, each.file) == (call.line, call.file))

    def text(self, node: ast.expr) -> str | None:
        return self.project.text(self.module, node, self.names)

    def of_request(self, node: ast.expr) -> bool:
        """Whether it is made of the request and constants alone, by nothing but what copies."""
        allowed = {
            "dict",
            "list",
            "items",
            "get",
            "get_data",
            "lower",
            "copy",
            "body",
            "read",
            "get_json",
            "json",
        }
        names = {"request", "dict", "list", *self.plain, *self.names}
        inside = {
            each.id
            for one in ast.walk(node)
            if isinstance(one, ast.comprehension)
            for each in ast.walk(one.target)
            if isinstance(each, ast.Name)
        }
        for each in ast.walk(node):
            if (
                isinstance(each, ast.Name)
                and each.id not in names | inside
                and each.id not in self.module.values
            ):
                return False
            if isinstance(each, ast.Call) and _last(each.func) not in allowed:
                return False
        return True

    def about_answer(self, test: ast.expr) -> bool:
        return any(isinstance(each, ast.Name) and each.id in self.holds for each in ast.walk(test))

    def quiet(self, node: ast.expr) -> bool:
        inner = node.value if isinstance(node, ast.Await) else node
        return isinstance(inner, ast.Call) and _last(inner.func) in QUIET

    def refuses(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.Return | ast.Raise | ast.Pass):
            return True
        return isinstance(node, ast.Expr) and self.quiet(node.value)


def _last(node: ast.expr) -> str:
    name = dotted(node)
    if name is not None:
        return name.rpartition(".")[2]
    return node.attr if isinstance(node, ast.Attribute) else ""


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in node.keywords if each.arg == name), None)
