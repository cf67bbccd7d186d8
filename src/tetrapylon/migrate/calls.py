"""Calls of a view to other services, and whether it does anything beside."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from tetrapylon.migrate.passing import Passing
from tetrapylon.migrate.project import Function, Module, Project, dotted, walk_own
from tetrapylon.migrate.values import Client, Instance, Known, bound, client_of, known, method_of, named

__all__ = ["Call", "Doing", "read_view"]

VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request", "build_request", "stream"}
WITH_METHOD = {"request", "build_request", "stream"}
LIBRARIES = ("requests", "httpx", "urllib3")
DEPTH = 3
WHOLE = {"content", "text", "data", "raw"}
"""A response's attributes that are its whole body."""
READ = {
    "json",
    "read",
    "iter_content",
    "iter_bytes",
    "aiter_bytes",
    "iter_raw",
    "aiter_raw",
    "get_data",
    "result",
}
STARTED = {"create_task", "ensure_future", "send"}
"""Functions that answer with what their first argument does."""
ELSEWHERE = {"submit": 0, "to_thread": 0, "run_in_executor": 1}
"""Functions that call one of their arguments in a thread, and which."""
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
STATUS = {"status_code", "status", "raise_for_status", "is_error", "is_success", "ok"}
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
    query: str = ""
    """What it adds to the address."""
    sends: frozenset[str] = frozenset()
    """What it passes on of the client's: `query`, `fields`, `body`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Header fields of its own that are known."""
    own: tuple[str, ...] = ()
    """What else it sends of its own, as it is spelled."""


@dataclass
class Doing:
    """What a view does. `more` are lines that do something that neither forwards nor merges."""

    calls: list[Call] = field(default_factory=list)
    forwards: bool = False
    parts: dict[str, Call] = field(default_factory=dict)
    """What it merges: members of its answer."""
    more: list[tuple[str, int]] = field(default_factory=list)
    errors: list[tuple[str, int]] = field(default_factory=list)
    """Where it answers in its own words for a service that fails."""
    status: int | None = None
    """What it answers with, whatever the service did; None: with the service's status."""


def read_view(project: Project, module: Module, function: Function, guards: set[int]) -> Doing:
    """`guards` are the lines of statements that are accounted for: those that check a key."""
    reader = _Reader(project, module)
    return reader.read(function, named(project, module, function), guards, 0)


class _Reader:
    def __init__(self, project: Project, module: Module) -> None:
        self.project = project
        self.module = module
        self.doing = Doing()
        self.holds: dict[str, Call] = {}
        """Variables that are an answer, or its whole body."""
        self.names: dict[str, Known] = {}
        self.passing = Passing(module)

    def read(self, function: Function, names: Mapping[str, Known], guards: set[int], depth: int) -> Doing:
        self.names = dict(names)
        self.function = function
        # What a caller has not given is empty.
        self.passing.plain |= {
            each.arg for each in (function.args.vararg, function.args.kwarg) if each is not None
        }
        self.depth = depth
        self.says_status = False
        self.generators: dict[str, Call] = {}
        """Functions within it that yield an answer."""
        self.queries: set[str] = set()
        """Variables that are an address with the client's query."""
        self.guards = guards
        self.returned: list[Call | None] = []
        self.block(function.body)
        doing = self.doing
        whole = bool(self.returned) and all(each is not None for each in self.returned)
        doing.forwards = whole and len(doing.calls) == 1 and not doing.more
        self.says_status = self.says_status or any(
            isinstance(each, ast.Attribute) and each.attr in STATUS for each in ast.walk(function)
        )
        if doing.status is None and not self.says_status:
            doing.status = 200
        return doing

    def more(self, line: int) -> None:
        self.doing.more.append((self.module.file, line))

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        if node.lineno in self.guards or isinstance(
            node, ast.Import | ast.ImportFrom | ast.Pass | ast.Global
        ):
            return
        if isinstance(node, ast.Expr):
            if (
                isinstance(node.value, ast.Constant)
                or self.quiet(node.value)
                or self.passing.update(node.value, self.text)
            ):
                return
            self.body_of(node.value)
            self.more(node.lineno)
        elif self.copies(node):
            return
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self.assign(targets[0], node.value, node.lineno)
        elif isinstance(node, ast.Return):
            self.answer(node)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                call = self.body_of(item.context_expr)
                if isinstance(item.optional_vars, ast.Name):
                    self.bind(item.optional_vars.id, item.context_expr, call)
            self.block(node.body)
        elif isinstance(node, ast.Try):
            self.block(node.body + node.orelse)
            for handler in node.handlers:
                if not all(self.refuses(each) for each in handler.body):
                    self.more(handler.lineno)
                elif any(isinstance(each, ast.Return) for each in handler.body):
                    self.doing.errors.append((self.module.file, handler.lineno))
            self.block(node.finalbody)
        elif isinstance(node, ast.If) and self.about_answer(node.test) and all(map(self.refuses, node.body)):
            self.doing.errors.append((self.module.file, node.lineno))
            self.block(node.orelse)
        elif isinstance(node, Function) and (call := self.generated(node)) is not None:
            self.generators[node.name] = call
        elif isinstance(node, ast.Raise):
            pass
        else:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call):
                    self.body_of(inner)
            self.more(node.lineno)

    def assign(self, target: ast.expr, value: ast.expr, line: int) -> None:
        if isinstance(target, ast.Tuple):
            gathered = self.gathered(value, len(target.elts))
            for each, call in zip(target.elts, gathered or [], strict=False):
                if isinstance(each, ast.Name) and call is not None:
                    self.hold(each.id, call)
            if gathered is None:
                self.more(line)
            return
        call = self.body_of(value)
        if isinstance(target, ast.Name):
            if not self.bind(target.id, value, call):
                self.more(line)
        elif not self.passing.put(target, value, self.text):
            self.more(line)

    def bind(self, name: str, value: ast.expr, call: Call | None) -> bool:
        """Whether it is known what the variable is."""
        if call is not None:
            self.hold(name, call)
            return True
        found = known(self.project, self.module, value, self.names)
        if found is not None:
            self.names[name] = found
            if isinstance(value, ast.Call) and (query := _keyword(value, "query")) is not None:
                self.queries |= {name} if self.passing.of_request(query) else set()
            return True
        return self.passing.assign(name, value, self.text)

    def hold(self, name: str, call: Call) -> None:
        self.holds[name] = call
        self.passing.answers.add(name)
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
            self.more(node.lineno)
            return
        self.answered(value)
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
            self.seen(value)
            self.more(node.lineno)
        self.returned.append(None)

    def answered(self, value: ast.expr) -> None:
        """The status, where the source says it."""
        given = value.elts[1] if isinstance(value, ast.Tuple) and len(value.elts) > 1 else None
        if isinstance(value, ast.Call):
            given = _keyword(value, "status") or _keyword(value, "status_code")
        if isinstance(given, ast.Constant) and isinstance(given.value, int):
            self.doing.status = given.value

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
        last = _last(node.func)
        if last in ELSEWHERE and len(node.args) > ELSEWHERE[last]:
            at = ELSEWHERE[last]
            inner = ast.Call(func=node.args[at], args=node.args[at + 1 :], keywords=node.keywords)
            return self.body_of(ast.copy_location(inner, node))
        if isinstance(node.func, ast.Attribute) and node.func.attr in READ:
            return self.body_of(node.func.value)
        if last in ANSWERS | STARTED and node.args:
            return self.body_of(node.args[0])
        if isinstance(node.func, ast.Name) and node.func.id in self.generators:
            return self.generators[node.func.id]
        return self.inlined(node)

    def inlined(self, node: ast.Call) -> Call | None:
        """A call of a function of the app's own that itself only forwards."""
        found = self.project.function(self.module, node.func)
        names: dict[str, Known] = {}
        if found is None and isinstance(node.func, ast.Attribute):
            owner = known(self.project, self.module, node.func.value, self.names)
            if isinstance(owner, Instance):
                found = method_of(self.project, owner, node.func.attr)
                names["self"] = owner
        if found is None or self.depth >= DEPTH:
            return None
        names |= bound(self.project, self.module, node, self.names, found)
        reader = _Reader(self.project, found[0])
        reader.passing.take(self.passing, node, found[1])
        doing = reader.read(found[1], names, set(), self.depth + 1)
        if not doing.calls:
            return None
        self.doing.calls += doing.calls
        self.says_status = self.says_status or reader.says_status
        self.doing.errors += doing.errors
        if not doing.forwards:
            self.doing.more += doing.more or [(self.module.file, node.lineno)]
            return None
        return doing.calls[0]

    def outbound(self, node: ast.Call) -> Call | None:
        function = node.func
        library, _, verb = self.module.resolve(function).rpartition(".")
        client = Client(library)
        if library not in LIBRARIES or verb not in VERBS:
            if not isinstance(function, ast.Attribute) or function.attr not in VERBS:
                return None
            made = client_of(self.project, self.module, function.value, self.names)
            if made is None:
                return None
            client, verb = made, function.attr
        arguments = list(node.args)
        method: str | None = verb.upper()
        if verb in WITH_METHOD:
            first = arguments.pop(0) if arguments else _keyword(node, "method")
            method = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        given = arguments[0] if arguments else _keyword(node, "url")
        url = self.text(given) if given is not None else None
        if url is not None and "://" not in url and not url.startswith("${"):
            url = None if client.base is None else f"{client.base}/{url.lstrip('/')}" if client.base else url
        queried = "{request.path}" in (url or "") or (
            isinstance(given, ast.Name) and given.id in self.queries
        )
        passed = self.passing.sent(node, arguments[1:], verb, self.text)
        call = Call(
            client.library,
            method,
            url,
            ast.unparse(given) if given is not None else "?",
            self.module.file,
            node.lineno,
            query=passed.query,
            sends=frozenset({*passed.sends, *({"query"} if queried else ())}),
            fields={**client.fields, **passed.fields},
            own=(*client.own, *passed.own),
        )
        same = [
            each
            for each in self.doing.calls
            if (each.line, each.file, each.url) == (call.line, call.file, call.url)
        ]
        if not same:
            self.doing.calls.append(call)
        return same[0] if same else call

    def text(self, node: ast.expr) -> str | None:
        found = known(self.project, self.module, node, self.names)
        return found if isinstance(found, str) else None

    def about_answer(self, test: ast.expr) -> bool:
        """Whether it asks for the status and nothing else: what is in an answer may say who may see it."""
        for each in ast.walk(test):
            if isinstance(each, ast.Attribute) and each.attr not in STATUS:
                return False
            if isinstance(each, ast.Call | ast.Subscript):
                return False
        names = {each.id for each in ast.walk(test) if isinstance(each, ast.Name)}
        return bool(names) and names <= self.holds.keys()

    def quiet(self, node: ast.expr) -> bool:
        inner = node.value if isinstance(node, ast.Await) else node
        if not isinstance(inner, ast.Call) or _last(inner.func) not in QUIET:
            return False
        owner = inner.func.value if isinstance(inner.func, ast.Attribute) else None
        # What takes something out of an answer is no forwarding.
        return _last(inner.func) != "pop" or owner is None or self.body_of(owner) is None

    def copies(self, node: ast.stmt, names: frozenset[str] = frozenset()) -> bool:
        """Whether it gives the answer the service's fields: `answer.headers[name] = value`, loops of it."""
        if isinstance(node, ast.For):
            inside = frozenset(each.id for each in ast.walk(node.target) if isinstance(each, ast.Name))
            return self.passing.of_request(node.iter) and all(
                self.copies(each, names | inside) for each in node.body
            )
        if isinstance(node, ast.If) and not node.orelse:
            known = {*names, *self.module.values, "str", "len"}
            used = {each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)}
            return used <= known and all(self.copies(each, names) for each in node.body)
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
            return False
        owner = node.targets[0].value
        if (
            not isinstance(owner, ast.Attribute)
            or owner.attr != "headers"
            or self.body_of(owner.value) is None
        ):
            return False
        used = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
        return (
            used <= names if names else bool(used & self.holds.keys()) and self.passing.of_request(node.value)
        )

    def generated(self, node: Function) -> Call | None:
        """The call whose answer a function within the view yields piece by piece."""
        loops = [each for each in walk_own(node) if isinstance(each, ast.For | ast.AsyncFor)]
        yields = [each for each in walk_own(node) if isinstance(each, ast.Yield)]
        if len(loops) != 1 or len(yields) != 1 or len(node.body) != 1 or len(loops[0].body) != 1:
            return None
        (piece,) = loops[0].body
        given = piece.value if isinstance(piece, ast.Expr) else None
        if (
            not isinstance(given, ast.Yield)
            or given.value is None
            or dotted(given.value) != dotted(loops[0].target)
        ):
            return None
        return self.body_of(loops[0].iter)

    def seen(self, node: ast.AST) -> None:
        """Calls in an expression that is more than one."""
        for each in ast.walk(node):
            if isinstance(each, ast.Call):
                self.body_of(each)

    def refuses(self, node: ast.stmt) -> bool:
        self.seen(node)  # another service may be asked instead
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
