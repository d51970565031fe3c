"""95 % intervals by bootstrap over cases."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval; None where the score is undefined in too many resamples."""

    low: float | None
    high: float | None
    level: float
    method: str
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)
