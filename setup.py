"""Builds the compiled plane: every ext/**/*.pyx, named by its path, lands beside its stub in src/."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

EXT = Path("ext")
DEBUG = os.environ.get("TETRAPYLON_DEBUG") == "1"
SANITIZE = os.environ.get("TETRAPYLON_SANITIZE", "")

COMPILE = ["-O1", "-g"] if DEBUG else ["-O3", "-g1", "-fno-semantic-interposition"]
COMPILE += ["-fvisibility=hidden", "-Wall", "-Wno-unused-function", "-Wno-unreachable-code"]
LINK = ["-Wl,-O1"]
if SANITIZE:
    COMPILE += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
    LINK += [f"-fsanitize={SANITIZE}"]


def extensions() -> list[Extension]:
    return [
        Extension(
            ".".join(path.relative_to(EXT).with_suffix("").parts),
            [str(path)],
            extra_compile_args=COMPILE,
            extra_link_args=LINK,
            define_macros=[("TETRAPYLON_DEBUG", str(int(DEBUG)))],
            include_dirs=[str(EXT / "tetrapylon" / "_core")],
            depends=[str(header) for header in EXT.rglob("*.h")],
        )
        for path in sorted(EXT.rglob("*.pyx"))
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        include_path=[str(EXT)],
        build_dir="build/cython-debug" if DEBUG else "build/cython",
        annotate=DEBUG or os.environ.get("TETRAPYLON_ANNOTATE") == "1",
        compiler_directives={
            "language_level": "3",
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": not DEBUG,
            "nonecheck": False,
            "embedsignature": True,
            "warn.maybe_uninitialized": True,
        },
    )
)
