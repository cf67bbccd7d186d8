"""The project's own files, read as text."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("src", "ext", "tests", "benchmarks", "examples", "tools")
CODE = (".py", ".pyi", ".pyx", ".pxd", ".h", ".c", ".go", "")
SKIPPED = {"__pycache__", "build", "dist"}

IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<where>[\w.]+)\s+c?import\s+(?P<names>[\w, *]+|\([^)]*\))"
    r"|c?import\s+(?P<plain>[\w., ]+))",
    re.MULTILINE,
)


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Files of the rooms with one of these suffixes, what was built left out."""
    found = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*")))
    return tuple(
        path
        for path in found
        if path.is_file() and path.suffix in suffixes and not SKIPPED & set(path.relative_to(ROOT).parts)
    )


def name(path: Path) -> str:
    """A path as people write it."""
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    """The module that a file under src/ or ext/ is."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts[1:])
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """What a file imports or cimports of the package, wherever in it: `tetrapylon.config.model` ...

    What is imported for type checkers alone is left out: it binds no room to another.
    """
    text = path.read_text(encoding="utf-8")
    found = _cython_imports(text) if path.suffix in (".pyx", ".pxd") else _python_imports(text)
    yield from (target for target in found if target.split(".")[0] == "tetrapylon")


def _python_imports(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (_target(node.module, alias.name) for alias in node.names)


def _cython_imports(text: str) -> Iterator[str]:
    for match in IMPORT.finditer(text):
        if match["plain"]:
            yield from (part.split()[0] for part in match["plain"].split(","))
            continue
        for part in re.findall(r"\w+|\*", re.sub(r"#.*", "", match["names"])):
            yield _target(match["where"], part)


def _target(where: str, what: str) -> str:
    """`from a import b` means the module a.b if there is one, else a."""
    place = Path(*where.split("."), what)
    for root in (ROOT / "src", ROOT / "ext"):
        if (root / place).is_dir() or any(
            (root / place).with_suffix(suffix).exists() for suffix in (".py", ".pyx", ".pxd")
        ):
            return f"{where}.{what}"
    return where
