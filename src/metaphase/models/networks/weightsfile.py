"""Files of starting weights that a recipe names: tensors by name, and no code is executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaphase.errors import ModelFileError
from metaphase.files import open_regular


def read_weights(path: Path, way_out: str) -> dict[str, Tensor]:
    """Return the tensors of a file that ``torch.save`` wrote, or of its ``state_dict``.

    ``way_out`` is what to do where the file cannot be used. Raises ModelFileError.
    """
    try:
        with open_regular(path) as stream:
            content: Any = torch.load(stream, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelFileError.of(path, "no such weights file", way_out=way_out) from error
    except pickle.UnpicklingError as error:
        raise ModelFileError.of(
            path, "holds more than tensors; it was not loaded", way_out=way_out
        ) from error
    except Exception as error:  # damaged archives raise errors of any kind
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ModelFileError.of(path, f"cannot be read: {reason}", way_out=way_out) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    good = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )
    if not good:
        raise ModelFileError.of(path, "holds no table of tensors", way_out=way_out)
    return dict(content)
