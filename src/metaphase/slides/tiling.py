"""Where tiles start along one axis of an image."""

from __future__ import annotations


def grid_starts(length: int, tile: int, stride: int) -> list[int]:
    """Return where tiles start so that they cover ``length``, the last flush with the end.

    An image not longer than a tile has a single tile, at 0. Tiles are ``stride`` apart but for the
    last, which overlaps more.
    """
    if length < 1 or tile < 1 or not 1 <= stride <= tile:
        raise ValueError(
            f"no grid of tiles of {tile} px every {stride} px over {length} px covers it once"
        )
    if length <= tile:
        return [0]
    starts = list(range(0, length - tile, stride))
    return [*starts, length - tile]
