"""JSON that a browser can always read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


class PageJSON(Response):
    """JSON with null for numbers that are not finite, and escapes for all but ASCII.

    JSON has no NaN or infinity, and UTF-8 has no lone surrogates, which file names may hold.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the content as bytes."""
        text = json.dumps(finite(content), allow_nan=False, separators=(",", ":"))
        return text.encode("ascii")


def finite(value: Any) -> Any:
    """Return a value with None for every number that is NaN or infinite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
