"""Reading text and JSON files of labels, with our errors instead of Python's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metaphase import files
from metaphase.errors import LabelError


def read_text(path: Path) -> str:
    """Return a UTF-8 file's text, without a byte-order mark. Raises LabelError."""
    try:
        return files.read_text(path, "utf-8-sig")
    except OSError as error:
        raise LabelError.of(
            path, f"cannot be read: {error.strerror or error}", way_out="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise LabelError.of(
            path, "is not UTF-8 text", way_out="save it as UTF-8, or name another file"
        ) from error


def read_json(path: Path) -> Any:
    """Return parsed JSON. Raises LabelError, naming the line."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise LabelError.of(
            path,
            f"is not JSON: {error.msg}",
            record=f"line {error.lineno}",
            way_out="was it downloaded whole?",
        ) from error
    except RecursionError as error:
        raise LabelError.of(path, "is nested too deeply for a label file") from error
