"""A small TOML writer, for what recipes hold: tables, lists of tables, scalars and lists."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(data: Mapping[str, Any]) -> str:
    """Return TOML that ``tomllib.loads`` reads back as ``data``, without the keys that are None."""
    return "\n".join(_table(data, ())).strip() + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    data = {key: value for key, value in data.items() if value is not None}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in data.items() if not _is_table(v)]
    for key, value in data.items():
        inside = (*path, key)
        name = ".".join(map(_key, inside))
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_table(value, inside)]
        elif _is_table(value):
            for item in value:
                lines += ["", f"[[{name}]]", *_table(item, inside)]
    return lines


def _is_table(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _text(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return _text(str(value))


def _number(value: float) -> str:
    if not math.isfinite(value):
        return repr(value)  # inf, -inf and nan are TOML's words too
    text = repr(value)
    return text if any(c in text for c in ".e") else f"{text}.0"


def _text(text: str) -> str:
    # A JSON string is a TOML basic string, except for DEL and lone halves of surrogate pairs.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
