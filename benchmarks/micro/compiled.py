"""Builds the compiled loops of these benchmarks into build/benchmarks, apart from the product."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from Cython.Build import cythonize
from setuptools import Distribution, Extension  # type: ignore[import-untyped]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def load(name: str) -> ModuleType:
    """The module compiled from `<name>.pyx` beside this file."""
    out = ROOT / "build" / "benchmarks"
    extension = Extension(name, [str(HERE / f"{name}.pyx")], extra_compile_args=["-O3"])
    modules = cythonize(  # type: ignore[no-untyped-call]
        [extension],
        include_path=[str(ROOT / "ext")],
        build_dir=str(out),
        quiet=True,
        compiler_directives={"language_level": "3", "boundscheck": False, "wraparound": False},
    )
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(out)
    command.ensure_finalized()
    command.run()
    if str(out) not in sys.path:
        sys.path.insert(0, str(out))
    return import_module(name)
