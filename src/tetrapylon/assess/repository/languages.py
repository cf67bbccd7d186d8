"""Programming languages by the ends of file names; what a machine wrote or others did is left out."""

from __future__ import annotations

__all__ = ["language_of"]

ENDS = {
    "py": "Python", "pyi": "Python", "pyx": "Cython", "pxd": "Cython", "go": "Go", "rs": "Rust", "c": "C",
    "h": "C", "cc": "C++", "cpp": "C++", "cxx": "C++", "hpp": "C++", "hh": "C++", "java": "Java",
    "kt": "Kotlin", "kts": "Kotlin", "scala": "Scala", "groovy": "Groovy", "clj": "Clojure", "cs": "C#",
    "fs": "F#", "js": "JavaScript", "mjs": "JavaScript", "cjs": "JavaScript", "jsx": "JavaScript",
    "ts": "TypeScript", "tsx": "TypeScript", "rb": "Ruby", "php": "PHP", "lua": "Lua", "pl": "Perl",
    "pm": "Perl", "ex": "Elixir", "exs": "Elixir", "erl": "Erlang", "hs": "Haskell", "ml": "OCaml",
    "swift": "Swift", "zig": "Zig", "nim": "Nim", "d": "D", "dart": "Dart", "r": "R", "jl": "Julia",
    "sh": "Shell", "bash": "Shell", "sql": "SQL",
}  # fmt: skip
NOT_OURS = {"vendor", "node_modules", "third_party", "site-packages", "dist", "build", ".venv", "venv"}
GENERATED = (".min.js", "_pb2.py", "_pb2_grpc.py", ".pb.go", ".d.ts", ".generated.go")


def language_of(path: str) -> str | None:
    """None for what is no code of the team's own."""
    folders, _, name = path.rpartition("/")
    if name.endswith(GENERATED) or not NOT_OURS.isdisjoint(folders.split("/")):
        return None
    stem, dot, end = name.rpartition(".")
    return ENDS.get(end.lower()) if dot and stem else None
