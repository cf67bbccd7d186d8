"""The process that imports the app: `python -m tetrapylon.migrate.child MODULE:APP ANSWER`."""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
import traceback
from importlib import import_module
from typing import Any

import msgspec

from tetrapylon.code.load import load_object
from tetrapylon.errors import LoadError
from tetrapylon.migrate.inventory import AppRoute, Inventory, Trouble

__all__ = ["inventory", "unwrapped"]

READERS = {"flask": "of_flask", "starlette": "of_starlette", "django": "of_django"}
WRAPPERS = ("app", "application", "wsgi_app", "asgi_app", "_app", "wrapped", "_application")
"""Where middleware keeps what it stands before."""
CALL = re.compile(r"(?P<reference>[^()]+)\(\)")
EXPECTED = "expected a Flask, FastAPI, Starlette or Django app"


def load(target: str) -> Any:
    """The app; `module:create_app()` is what the function makes. Raises LoadError."""
    called = CALL.fullmatch(target)
    if called is None:
        return load_object(target)
    factory = load_object(called["reference"])
    if not callable(factory):
        raise LoadError(f"{called['reference']} is no function", "leave out the ()")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise LoadError(
            f"{target} raised {type(error).__name__}: {error}", "", f"{last.filename}:{last.lineno}"
        ) from error


def framework_of(app: Any) -> str | None:
    """By the classes it is derived from, so that no framework is imported to ask."""
    for kind in type(app).__mro__:
        name, module = kind.__name__, kind.__module__
        if name == "Flask" and module.startswith("flask."):
            return "flask"
        if name in ("Starlette", "Router") and module.startswith("starlette."):
            return "starlette"
        if name in ("WSGIHandler", "ASGIHandler") and module.startswith("django."):
            return "django"
    return None


def unwrapped(app: Any) -> tuple[Any, list[Any]]:
    """The framework's own app, and the middleware around it, outermost first."""
    around: list[Any] = []
    while framework_of(app) is None:
        inner = next((getattr(app, name) for name in WRAPPERS if callable(getattr(app, name, None))), None)
        if inner is None or len(around) > 20:
            break
        around.append(app)
        # A bound method such as Flask's `wsgi_app` leads back to its object.
        app = getattr(inner, "__self__", inner)
    return app, around


def inventory(target: str) -> Inventory:
    """Raises LoadError."""
    given = load(target)
    app, around = unwrapped(given)
    framework = framework_of(app)
    if framework is None:
        kind = f"{type(given).__module__}.{type(given).__qualname__}"
        hint = EXPECTED
        if callable(given) and type(given).__name__ == "function":
            hint += f"; if it makes one, write '{target}()'"
        raise LoadError(f"it is a {kind}", hint)
    reader = import_module(f"tetrapylon.migrate.{READERS[framework]}")
    routes: list[AppRoute] = reader.routes(app)
    notes = [f"in front of it: {type(each).__module__}.{type(each).__qualname__}" for each in around]
    notes += [f"around every view: {each}, which native routes do not have" for each in reader.around(app)]
    return Inventory(
        framework=reader.name(app),
        interface=reader.interface(app),
        routes=routes,
        modules=own_modules(target.partition(":")[0].partition(".")[0], routes),
        notes=notes,
    )


def own_modules(package: str, routes: list[AppRoute]) -> dict[str, str]:
    """The app's modules: of its package, of its views' packages, and all that no installer has put there."""
    installed = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib")]
    packages = {package, *(route.view.ref.partition(".")[0].partition(":")[0] for route in routes)}
    packages -= {"flask", "starlette", "fastapi", "django", "tetrapylon"}
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or name == "__main__":
            continue
        own = name.partition(".")[0] in packages
        if own or not any(file.startswith(place + os.sep) for place in installed):
            found[name] = file
    return {name: file for name, file in found.items() if name.partition(".")[0] != "tetrapylon"}


def main(target: str, answer: str) -> int:
    try:
        told: Inventory | Trouble = inventory(target)
    except LoadError as error:
        told = Trouble(error.message, error.where, error.hint)
    except Exception as error:  # noqa: BLE001 - the app's own objects raise whatever they like; it is told
        last = traceback.extract_tb(error.__traceback__)[-1]
        told = Trouble(
            f"reading its routes raised {type(error).__name__}: {error}", f"{last.filename}:{last.lineno}"
        )
    with open(answer, "wb") as file:
        file.write(msgspec.json.encode(told))
    return 1 if isinstance(told, Trouble) else 0


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # An app's threads, which may never end, are not waited for.
    os._exit(code)
