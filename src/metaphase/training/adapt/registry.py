"""The methods of domain adaptation: files in ``methods/``, and those that a program registers."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from metaphase.errors import MissingExtraError
from metaphase.training.adapt.options import AdaptOptions

if TYPE_CHECKING:
    from metaphase.training.adapt.base import Method

MethodT = TypeVar("MethodT", bound="type[Method]")

_PACKAGE = "metaphase.training.adapt.methods"
_REGISTERED: dict[str, type[Method]] = {}


def register(method: MethodT) -> MethodT:
    """Register a method by its ``name``. A decorator; a second method of that name replaces it."""
    _REGISTERED[method.name] = method
    return method


def unregister(name: str) -> None:
    """Remove a method that a program registered; an unknown name is ignored."""
    _REGISTERED.pop(name, None)


def method_names() -> list[str]:
    """Return the names of all methods, those in ``methods/`` by their files."""
    package = import_module(_PACKAGE)
    files = (module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__))
    return sorted({*files, *_REGISTERED})


def find_method(name: str) -> type[Method]:
    """Return a method by name. Raises ValueError for an unknown one, MissingExtraError."""
    if name not in _REGISTERED:
        if name not in method_names():
            raise ValueError(f"there is no method {name!r}: one of {', '.join(method_names())}")
        try:
            import_module(f"{_PACKAGE}.{name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            raise MissingExtraError("train", "adapting to a scanner") from error
    return _REGISTERED[name]


def read_options(value: Any) -> AdaptOptions:
    """Return the options of the method that a table names. Raises ValueError with all problems."""
    if isinstance(value, AdaptOptions):
        return value
    name = value.get("method") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise ValueError(f"method is missing: one of {', '.join(method_names())}")
    section = find_method(name).Options
    try:
        return section.model_validate(_tuples(value))
    except ValidationError as error:
        raise ValueError("; ".join(_problems(error, section))) from None


def _tuples(value: Any) -> Any:
    """Return what TOML calls lists as the tuples that sections hold."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return value


def _problems(error: ValidationError, section: type[AdaptOptions]) -> list[str]:
    known = ", ".join(section.model_fields)
    problems = []
    for item in error.errors():
        place = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            problems.append(f"{place} is not a known key, known here: {known}")
        else:
            problems.append(f"{place}: {item['msg'].removeprefix('Value error, ')}")
    return problems
