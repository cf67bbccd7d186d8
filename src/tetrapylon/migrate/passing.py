"""What a call to another service passes on of the client's request, and what it adds of its own."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from tetrapylon.migrate.project import Function, Module, dotted

__all__ = ["Passed", "Passing", "read_of"]

Text = Callable[[ast.expr], str | None]
COPIES = {
    *(
        "dict",
        "list",
        "tuple",
        "set",
        "str",
        "bytes",
        "items",
        "keys",
        "values",
        "get",
        "getlist",
        "to_dict",
        "copy",
    ),
    *(
        "get_data",
        "body",
        "read",
        "stream",
        "get_json",
        "json",
        "form",
        "encode",
        "decode",
        "lower",
        "upper",
        "title",
    ),
    *("startswith", "endswith", "urlencode", "Headers", "MultiDict", "QueryParams", "multi_items", "raw"),
}
"""Functions that make nothing new of what they are given."""
BODIES = ("data", "json", "content", "files", "body")
FIELDS = ("headers", "cookies")
WITHOUT_BODY = ("get", "head", "options")


@dataclass
class Passed:
    query: str = ""
    sends: set[str] = field(default_factory=set)
    fields: dict[str, str] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)


class Passing:
    """Of one function: which variables are the request's, and which fields were added to them."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self.plain: set[str] = set()
        """Variables that are made from the request alone."""
        self.answers: set[str] = set()
        """Variables that are an answer: fields made of its fields are its own."""
        self.added: dict[str, dict[str, str]] = {}
        """Fields of their own that such variables have."""

    def take(self, caller: Passing, call: ast.Call, callee: Function) -> None:
        """Arguments that are the request's, or parts of it, are so in the function that is called."""
        given = callee.args
        plain = [each.arg for each in (*given.posonlyargs, *given.args)]
        if plain[:1] in (["self"], ["cls"]):
            plain = plain[1:]
        values = [
            *zip(plain, call.args, strict=False),
            *((each.arg or "", each.value) for each in call.keywords),
        ]
        for name, value in values:
            if caller.of_request(value):
                self.plain.add(name)
                if isinstance(value, ast.Name) and value.id in caller.added:
                    self.added[name] = dict(caller.added[value.id])

    def of_request(self, node: ast.expr) -> bool:
        """Whether it is made of the request and constants alone, by nothing but what copies."""
        inside = {
            each.id
            for one in ast.walk(node)
            if isinstance(one, ast.comprehension)
            for each in ast.walk(one.target)
            if isinstance(each, ast.Name)
        }
        inside |= {
            (dotted(each) or "").partition(".")[0]
            for each in ast.walk(node)
            if isinstance(each, ast.Attribute) and each.attr in ("headers", "status_code")
        } & self.answers
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and not (
                each.id in {"request", *COPIES, *self.plain} | inside or each.id in self._module.values
            ):
                return False
            if isinstance(each, ast.Call) and _last(each.func) not in COPIES:
                return False
        return True

    def assign(self, name: str, value: ast.expr, text: Text) -> bool:
        """Whether the variable is made of the request, and of fields that are known."""
        fields, own = self.fields(value, text)
        if own:
            return False
        self.plain.add(name)
        if fields:
            self.added[name] = fields
        return True

    def put(self, target: ast.expr, value: ast.expr, text: Text) -> bool:
        """`headers["X-Internal"] = TOKEN`, of a variable that is the request's."""
        if not isinstance(target, ast.Subscript) or (dotted(target.value) or "") not in self.plain:
            return False
        if self._mentions(value):
            return self.of_request(value)
        told = text(value)
        if told is None or not isinstance(target.slice, ast.Constant):
            return False
        self.added.setdefault(dotted(target.value) or "", {})[str(target.slice.value)] = told
        return True

    def update(self, node: ast.expr, text: Text) -> bool:
        """`headers.update({...})` and the like."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        name = dotted(node.func.value) or ""
        if name not in self.plain or node.func.attr not in ("update", "setdefault", "pop", "append"):
            return False
        if node.func.attr != "update" or len(node.args) != 1 or node.keywords:
            return node.func.attr == "pop"
        fields, own = self.fields(node.args[0], text)
        self.added.setdefault(name, {}).update(fields)
        return not own

    def fields(self, node: ast.expr, text: Text) -> tuple[dict[str, str], list[str]]:
        """Of a mapping: fields of its own with known values, and what is not known, as it is spelled."""
        if isinstance(node, ast.Name):
            known = node.id in self.plain or self.of_request(node)
            return dict(self.added.get(node.id, {})), [] if known else [ast.unparse(node)]
        if not isinstance(node, ast.Dict):
            return {}, [] if self._mentions(node) and self.of_request(node) else [ast.unparse(node)]
        fields: dict[str, str] = {}
        own: list[str] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                more, unknown = self.fields(value, text)
                fields |= more
                own += unknown
            elif not isinstance(key, ast.Constant):
                own.append(ast.unparse(key))
            elif self._mentions(value):
                own += [] if self.of_request(value) else [f"{ast.unparse(key)}: {ast.unparse(value)}"]
            elif (told := text(value)) is not None:
                fields[str(key.value)] = told
            else:
                own.append(f"{ast.unparse(key)}: {ast.unparse(value)}")
        return fields, own

    def sent(self, call: ast.Call, rest: list[ast.expr], verb: str, text: Text) -> Passed:
        """What a call sends; `rest` are its arguments behind the address."""
        passed = Passed()
        given = {each.arg or "**": each.value for each in call.keywords}
        if rest:  # requests.post(url, data), requests.get(url, params)
            given.setdefault("params" if verb in WITHOUT_BODY else "data", rest[0])
        for name, value in given.items():
            if isinstance(value, ast.Constant) and value.value is None:
                continue
            if name == "params":
                self._query(value, passed, text)
            elif name in FIELDS:
                fields, own = self.fields(value, text)
                if not isinstance(value, ast.Dict) or None in value.keys:
                    passed.sends.add("fields")  # not only some that are picked
                if name == "cookies" and fields:
                    own.append(ast.unparse(value))
                passed.fields |= fields if name == "headers" else {}
                passed.own += [f"{name} {each}" for each in own]
            elif name in BODIES:
                if self._mentions(value) and self.of_request(value):
                    passed.sends.add("body")
                else:
                    passed.own.append(f"{name}={ast.unparse(value)}")
            elif name in ("auth", "cert", "**", "fields"):
                passed.own.append(ast.unparse(value) if name == "**" else f"{name}={ast.unparse(value)}")
        return passed

    def _query(self, value: ast.expr, passed: Passed, text: Text) -> None:
        if not isinstance(value, ast.Dict):
            if self._mentions(value) and self.of_request(value):
                passed.sends.add("query")
            else:
                passed.own.append(f"params={ast.unparse(value)}")
            return
        pairs = []
        for key, each in zip(value.keys, value.values, strict=True):
            read = read_of(each)
            if key is None and self.of_request(each):
                passed.sends.add("query")
            elif not isinstance(key, ast.Constant):
                passed.own.append(f"params={ast.unparse(value)}")
            elif read is not None and read == ("query", key.value):
                continue  # a part of the client's
            elif (told := text(each)) is not None and not self._mentions(each):
                pairs.append(f"{key.value!s}={told}")
            else:
                passed.own.append(f"params={ast.unparse(value)}")
        passed.query = "&".join(pairs)

    def _mentions(self, node: ast.expr) -> bool:
        """Whether there is anything of the request's in it."""
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        return bool(names & {"request", *self.plain, *self.answers})


def read_of(node: ast.AST) -> tuple[str, str] | None:
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


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
