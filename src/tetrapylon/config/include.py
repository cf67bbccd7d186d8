"""`include`: further files, merged into the main file's tree; each value keeps its place."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from tetrapylon.config.tree import Document, Node, Path, Report, show
from tetrapylon.errors import ConfigError, Problem

__all__ = ["INCLUDABLE", "MOST_FILES", "included", "matching"]

KINDS: dict[str, type] = {
    "upstreams": dict,
    "policies": list,
    "apis": list,
    "routes": list,
    "consumers": list,
    "apps": dict,
}
INCLUDABLE = tuple(KINDS)
"""The keys that an included file may have; all else belongs in the main file."""

MOST_FILES = 10_000
WILD = frozenset("*?[")

Read = Callable[[str], Document]


def included(report: Report, read: Read) -> Iterator[tuple[Node, Path]]:
    """Merges the files that `include` names, and gives each value that came, with its new path.

    `read` parses the file of a name. Raises ConfigError with what is wrong in each file that could not be
    parsed: nothing can be said of the rest without it.
    """
    document = report.document
    broken: list[Problem] = []
    for file in _files(report):
        document.files.append(file)
        try:
            part = read(file)
        except ConfigError as error:
            broken += error.problems
            continue
        yield from _merge(part, report)
    if broken:
        raise ConfigError([*report.problems, *broken])


def _files(report: Report) -> Iterator[str]:
    """The names in the order of the patterns, those of one pattern sorted, each once.

    Where a pattern finds none, or may find others another time, it is noted in the document.
    """
    document = report.document
    patterns = document.root.value["include"].value
    folder = FilePath(document.file).parent
    seen = {FilePath(document.file).resolve()}
    for index, node in enumerate(patterns if isinstance(patterns, list) else ()):
        pattern = node.value
        if not isinstance(pattern, str) or not pattern:
            continue  # its shape says so
        path = ("include", index)
        wild = bool(WILD & set(pattern))
        found = matching(whole := str(FilePath(glob.escape(str(folder)), pattern)))
        if wild or not found:
            document.patterns.append(whole)
        if not found and not wild:
            report.add(
                path, f"there is no file {pattern}", "expected a file, or a pattern such as routes/*.yaml"
            )
        elif not found and not _base(folder, pattern).is_dir():
            report.add(path, f"there is no folder {_base(folder, pattern)}", "make it, or mend the pattern")
        for file in found:
            if file.resolve() in seen:
                if not wild:
                    report.add(path, f"{pattern} is included already", "name it once")
                continue
            seen.add(file.resolve())
            if len(seen) > MOST_FILES:
                report.add(path, f"more than {MOST_FILES} files", "put more into each")
                return
            yield str(file)


def matching(pattern: str) -> list[FilePath]:
    """The files that a pattern names, in the order of their names."""
    return sorted(file for file in map(FilePath, glob.glob(pattern, recursive=True)) if file.is_file())


def _base(folder: FilePath, pattern: str) -> FilePath:
    """The part of a pattern before its first wildcard."""
    parts = FilePath(pattern).parts
    wild = next(index for index, part in enumerate(parts) if WILD & set(part))
    return folder.joinpath(*parts[:wild])


def _merge(part: Document, report: Report) -> Iterator[tuple[Node, Path]]:
    main = report.document.root
    top = part.root
    if not isinstance(top.value, dict):
        _refuse(report, part, (), "expected a mapping at the top", "begin with a key such as `routes:`")
        return
    for key, node in top.value.items():
        kind = KINDS.get(key)
        if kind is None:
            hint = f"an included file has {', '.join(INCLUDABLE[:-1])} and {INCLUDABLE[-1]} alone"
            _refuse(report, part, (key,), f"`{key}` belongs in the main file", hint, key=True)
        elif type(node.value) is not kind:
            expected = "a list" if kind is list else "a mapping"
            _refuse(report, part, (key,), f"expected {expected}, not {show(node)}")
        else:
            if key not in main.value:
                main.value[key] = Node(kind(), node.mark, {} if kind is dict else None)
                main.value[key].file = part.file
                if main.keys is not None and top.keys is not None:
                    main.keys[key] = top.keys[key]
            if type(main.value[key].value) is kind:
                yield from _join(main.value[key], node, key, part, report)


def _join(held: Node, node: Node, key: str, part: Document, report: Report) -> Iterator[tuple[Node, Path]]:
    """Adds the values of `node` to those of `held`, which is of the same kind."""
    if isinstance(node.value, list):
        for child in node.value:
            held.value.append(own := _in_file(child, part.file))
            yield own, (key, len(held.value) - 1)
        return
    for name, child in node.value.items():
        if name in held.value:
            first = report.document.place((key, name), key=True)
            hint = f"the first is at {first}" + (f":{first.mark[1]}" if first.mark else "")
            _refuse(report, part, (key, name), f"{name!r} is defined twice", hint, key=True)
            continue
        held.value[name] = own = _in_file(child, part.file)
        if held.keys is not None and node.keys is not None:
            held.keys[name] = node.keys[name]
        yield own, (key, name)


def _in_file(node: Node, file: str) -> Node:
    """`node`, marked as of `file`; a copy, for an alias may share it."""
    own = Node(node.value, node.mark, node.keys)
    own.file = file
    return own


def _refuse(
    report: Report, part: Document, path: Path, message: str, hint: str = "", *, key: bool = False
) -> None:
    own = Report(part)
    own.add(path, message, hint, key=key)
    report.problems += own.problems
