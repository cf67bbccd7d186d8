"""A config as it may be shown: as a file would have it, with what is secret or was filled in left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tetrapylon import catalog
from tetrapylon.config import shape
from tetrapylon.config.model import Config, PolicyUse, Route
from tetrapylon.config.policies import PolicySection, settings_section
from tetrapylon.config.schema import written
from tetrapylon.config.secrets import names_secret, veil, without_password
from tetrapylon.config.shape import Shape
from tetrapylon.config.tree import Path, render_path

__all__ = ["masked", "masked_route", "masked_settings", "secrets"]


def masked(config: Config) -> dict[str, Any]:
    """The whole config, what is left at its default aside. Everything that shows a config shows this."""
    shown: dict[str, Any] = _Masker(config.filled).show(shape.section(Config), config, ())
    if config.apps:
        from tetrapylon.config.apps import without_apps

        without_apps(shown, config)
    return shown


def masked_route(config: Config, index: int) -> dict[str, Any]:
    """The config's `index`th route likewise."""
    path: Path = ("routes", index)
    shown: dict[str, Any] = _Masker(config.filled).section(
        shape.section(Route), config.routes[index], path, None
    )
    return shown


def masked_settings(config: Config, use: PolicyUse, path: Path) -> dict[str, Any]:
    """The settings of the policy at `path`, as its entry has them beside `use`."""
    shown: dict[str, Any] = _Masker(config.filled).policy(use, path)
    del shown["use"]
    return shown


def secrets(config: Config) -> list[tuple[Path, str]]:
    """The values that are secret by their type or name, wherever they come from, with their paths."""
    masker = _Masker(config.filled)
    masker.show(shape.section(Config), config, ())
    return masker.secrets


class _Masker:
    def __init__(self, filled: Mapping[str, str]) -> None:
        self.filled = filled
        self.secrets: list[tuple[Path, str]] = []

    def veil(self, path: Path, value: str, template: str | None) -> str:
        self.secrets.append((path, value))
        return veil(template)

    def show(self, place: Shape, value: Any, path: Path, *, name: str = "") -> Any:
        """`value`, which stands at `path` under `name`."""
        if isinstance(place, shape.Optional):
            return (
                "none" if value is None and place.nullable else self.show(place.inner, value, path, name=name)
            )
        if value is None:
            return None
        template = self.filled.get(render_path(path)) if self.filled else None
        match place:
            case PolicySection():
                return self.policy(value, path)
            case shape.Section():
                return self.section(place, value, path, template)
            case shape.OneOf():
                return self.show(_fitting(place, value), value, path, name=name)
            case shape.Items():
                return [
                    self.show(place.item, item, (*path, index), name=name) for index, item in enumerate(value)
                ]
            case shape.Mapping():
                return {
                    key: self.show(place.value, item, (*path, key), name=key) for key, item in value.items()
                }
            case shape.Anything():
                return self.anything(value, path, name)
            case shape.Text():
                if place.secret or names_secret(name):
                    return self.veil(path, value, template)
                shown = written(place, value) if template is None else template
                return without_password(shown) if isinstance(shown, str) else shown
        return written(place, value)

    def section(self, place: shape.Section, value: Any, path: Path, template: str | None) -> Any:
        fields = {}
        for name, field in place.fields.items():
            given = getattr(value, name)
            if given is msgspec.UNSET or (given == field.default and field.default is not msgspec.NODEFAULT):
                continue
            short = name == place.shorthand and template is not None
            fields[name] = template if short else self.show(field.shape, given, (*path, name), name=name)
        return fields[place.shorthand] if list(fields) == [place.shorthand] else fields

    def policy(self, use: PolicyUse, path: Path) -> dict[str, Any]:
        shown: dict[str, Any] = {"use": use.use}
        known = settings_section(use.use).fields if use.use in catalog.POLICIES else {}
        for name, value in use.settings.items():
            place = known[name].shape if name in known else shape.Anything()
            shown[name] = self.setting(place, value, (*path, name), name)
        return shown

    def setting(self, place: Shape, value: Any, path: Path, name: str) -> Any:
        """A policy's setting. It is kept as plain values, sections as mappings."""
        if isinstance(place, shape.Optional):
            return value if value is None else self.setting(place.inner, value, path, name)
        if isinstance(place, shape.Section) and isinstance(value, dict):
            return {
                key: self.setting(place.fields[key].shape, item, (*path, key), key)
                if key in place.fields
                else item
                for key, item in value.items()
            }
        if isinstance(place, shape.Items):
            return [self.setting(place.item, item, (*path, i), name) for i, item in enumerate(value)]
        if isinstance(place, shape.Mapping):
            return {key: self.setting(place.value, item, (*path, key), key) for key, item in value.items()}
        if isinstance(value, (dict, list)):
            return self.anything(value, path, name)
        return self.show(place, value, path, name=name)

    def anything(self, value: Any, path: Path, name: str) -> Any:
        if isinstance(value, Mapping):
            return {key: self.anything(item, (*path, key), str(key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.anything(item, (*path, index), name) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        template = self.filled.get(render_path(path)) if self.filled else None
        if names_secret(name):
            return self.veil(path, value, template)
        return without_password(value) if template is None else template


def _fitting(place: shape.OneOf, value: Any) -> Shape:
    """Which of the shapes a value was read by."""
    for one in place.shapes:
        if isinstance(one, shape.Section):
            fits = isinstance(value, one.cls)
        else:
            fits = (list if isinstance(value, tuple) else type(value)) in one.kinds
        if fits:
            return one
    raise TypeError(f"no shape of {place.expected} gives {type(value).__name__}")
