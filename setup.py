"""Builds the compiled plane: every ext/**/*.pyx, named by its path, lands beside its stub in src/.

Environment variables:
    TETRAPYLON_DEBUG=1        checks and live-object counters; tree build/debug
    TETRAPYLON_SANITIZE=LIST  passed to -fsanitize
    TETRAPYLON_ANNOTATE=1     annotated HTML in build/annotate
    TETRAPYLON_STRICT=1       a warning of Cython or the C compiler is an error; not where users install
    TETRAPYLON_PATH_ONLY=1    no compiled module: for the editable install, beside which the Makefile compiles
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup


def flag(name: str) -> bool:
    return os.environ.get(name) == "1"


EXT = Path("ext")
DEBUG = flag("TETRAPYLON_DEBUG")
ANNOTATE = flag("TETRAPYLON_ANNOTATE")
STRICT = flag("TETRAPYLON_STRICT")
SANITIZE = os.environ.get("TETRAPYLON_SANITIZE", "")
JOBS = len(os.sched_getaffinity(0))
BUILD = "build/debug" if DEBUG else "build"

COMPILE = ["-O1", "-g"] if DEBUG else ["-O3", "-g1", "-fno-semantic-interposition"]
COMPILE += ["-fvisibility=hidden", "-Wall", "-Wno-unused-function", "-Wno-unreachable-code"]
if STRICT:
    Options.warning_errors = True
    COMPILE += ["-Werror"]
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
            include_dirs=sorted({str(header.parent) for header in EXT.rglob("*.h")}),
            depends=sorted(str(header) for header in EXT.rglob("*.h")),
        )
        for path in sorted(EXT.rglob("*.pyx"))
    ]


def compiled() -> list[Extension]:
    if flag("TETRAPYLON_PATH_ONLY"):
        return []
    modules: list[Extension] = cythonize(
        extensions(),
        include_path=[str(EXT)],
        build_dir="build/annotate" if ANNOTATE else f"{BUILD}/cython",
        annotate=DEBUG or ANNOTATE,
        force=ANNOTATE,
        nthreads=JOBS,
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
    return modules


setup(
    ext_modules=compiled(),
    options={"build": {"build_base": BUILD}, "build_ext": {"parallel": JOBS}},
)
