"""Where QuPath's coordinates begin on a slide.

QuPath shows a slide whose tags give bounds (``openslide.bounds-x``, ``-y``: Mirax, some Hamamatsu)
from the corner of these bounds. Positions in its files are therefore full-resolution pixels minus
that corner: it is the ``offset_px`` to write and to read with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metaphase.provenance import Provenance
from metaphase.values import finite

Offset = tuple[float, float]
NO_OFFSET: Offset = (0.0, 0.0)


def bounds_offset(properties: Mapping[str, str]) -> Offset:
    """Return the corner x, y (px) of a slide's bounds from its tags; 0, 0 without bounds."""
    x, y = (finite(properties.get(f"openslide.bounds-{axis}")) for axis in "xy")
    return x or 0.0, y or 0.0


def bounds_of_file(image: Path) -> Offset:
    """Return the corner of the bounds of a slide's file; 0, 0 if it has none or is not readable."""
    import openslide

    try:
        with openslide.OpenSlide(str(image)) as slide:
            return bounds_offset(slide.properties)
    except (openslide.OpenSlideError, OSError, ValueError):
        return NO_OFFSET


def recorded_offset(provenance: Provenance) -> Offset:
    """Return the corner that detection recorded for the GeoJSON beside the detections."""
    return provenance.parameters.bounds_px or NO_OFFSET
