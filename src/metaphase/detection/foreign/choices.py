"""What a user states about a graph that is imported."""

from __future__ import annotations

from dataclasses import dataclass

from metaphase.models.foreignkinds import (
    BoxFormat,
    Colour,
    Coordinates,
    Decoding,
    Kind,
    Layout,
    Resize,
    Scaling,
    ScoreKind,
)
from metaphase.radii import MERGE_RADIUS_UM

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Choices:
    """What is stated on import. None: found out from the graph and from trial runs.

    ``mpp`` is the resolution (um/px) that the network was trained at, ``tile`` the side of a tile
    in pixels, ``classes`` the class names by number (one that ends in * is left out). ``scaling``
    is that of the grey levels; ``mean`` and ``std`` of R, G, B are applied after it. ``resize``
    says how a tile becomes an input of another size. ``margin`` is the rim of a tile, in pixels,
    that is left to its neighbours. ``strides``, ``anchor_sizes`` (a tuple for each level) and
    ``aspect_ratios`` are those of raw RetinaNet and FCOS outputs.
    """

    kind: Kind
    mpp: float
    tile: int | None = None
    classes: tuple[str, ...] | None = None
    layout: Layout | None = None
    colour: Colour | None = None
    scaling: Scaling | None = None
    mean: Triple | None = None
    std: Triple | None = None
    resize: Resize = "none"
    margin: int | None = None
    decoding: Decoding | None = None
    scores: ScoreKind | None = None
    box_format: BoxFormat | None = None
    coordinates: Coordinates | None = None
    first_label: int | None = None
    strides: tuple[float, ...] | None = None
    anchor_sizes: tuple[tuple[float, ...], ...] | None = None
    aspect_ratios: tuple[float, ...] | None = None
    merge_radius_um: float = MERGE_RADIUS_UM
