"""Which input a graph takes: read from the shape of its input, and from what the user states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, get_args

from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.graph import Graph, Port
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignInput
from metaphase.models.foreignkinds import Layout, Number

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MAX_TILE_PX = 8192

_LAYOUTS: dict[int, tuple[Layout, ...]] = {4: ("nchw", "nhwc"), 3: ("chw", "hwc")}


@dataclass(frozen=True)
class InputChoice:
    """The input of a graph, the side of a tile, and what had to be assumed.

    ``alternative`` is another layout that fits the shape, if there is one.
    """

    spec: ForeignInput
    tile_px: int
    assumed: tuple[str, ...]
    alternative: Layout | None = None


def choose_input(graph: Graph, choices: Choices) -> InputChoice:
    """Return the input of a graph. Raises ModelFileError where it is not that of one RGB image."""
    port = _only_input(graph)
    layouts, assumed = _layouts(graph, port, choices)
    layout = layouts[0]
    height, width = (port.shape[layout.index(axis)] for axis in "hw")
    tile = _tile(graph, choices, width, height)
    width, height = width or tile, height or tile
    same = (width, height) == (tile, tile)
    if choices.resize == "none" and not same:
        raise ModelFileError.of(
            graph.path,
            f"takes {width} x {height} px, but a tile has {tile} x {tile}",
            way_out=f"use --tile {width}"
            if width == height
            else "state with --resize how a tile becomes this size",
        )
    values, more = _values(graph, port, choices)
    spec = ForeignInput(
        layout=layout,
        width_px=width,
        height_px=height,
        batch=(port.shape[0] or 1) if "n" in layout else 1,
        colour=choices.colour or "rgb",
        resize="none" if same else choices.resize,
        **values,
    )
    return InputChoice(spec, tile, (*assumed, *more), layouts[1] if len(layouts) > 1 else None)


def _only_input(graph: Graph) -> Port:
    if len(graph.inputs) != 1:
        named = ", ".join(map(str, graph.inputs)) or "none"
        raise ModelFileError.of(
            graph.path,
            f"takes {len(graph.inputs)} inputs ({named}), not one image",
            way_out="export it with the image as its only input",
        )
    port = graph.inputs[0]
    if len(port.shape) not in _LAYOUTS:
        _refuse(graph, port, "that is not an image or a batch of images")
    if port.number not in get_args(Number):
        _refuse(graph, port, f"{port.number} is not one of {', '.join(get_args(Number))}")
    if "n" in _LAYOUTS[len(port.shape)][0] and (port.shape[0] or 1) > 256:
        _refuse(graph, port, "its batch is larger than 256")
    return port


def _layouts(
    graph: Graph, port: Port, choices: Choices
) -> tuple[tuple[Layout, ...], tuple[str, ...]]:
    """Return the layouts that are possible, the likely one first, and what is assumed."""
    possible = _LAYOUTS[len(port.shape)]
    channels = {layout: port.shape[layout.index("c")] for layout in possible}
    if choices.layout is not None:
        if channels.get(choices.layout, 0) not in (3, None):
            _refuse(graph, port, f"in {choices.layout} it has no 3 channels")
        return (choices.layout,), ()
    stated = tuple(layout for layout in possible if channels[layout] == 3)
    if stated:
        return stated, ()
    open_ones = tuple(layout for layout in possible if channels[layout] is None)
    if not open_ones:
        _refuse(graph, port, "it has no axis of 3 channels (RGB)")
    return open_ones, (f"layout {open_ones[0]} (--layout)",)


def _tile(graph: Graph, choices: Choices, width: int | None, height: int | None) -> int:
    tile = choices.tile or (width if width == height else None)
    if tile is None:
        raise ModelFileError.of(
            graph.path,
            f"takes an input of {'any size' if width is None else f'{width} x {height} px'}, so "
            "the side of a tile is not known",
            way_out="state the side that it was trained with, such as --tile 640",
        )
    if not 32 <= tile <= MAX_TILE_PX:
        raise ModelFileError.of(
            graph.path, f"tiles of {tile} px cannot be used", way_out=f"use 32 to {MAX_TILE_PX} px"
        )
    return tile


def _values(graph: Graph, port: Port, choices: Choices) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the type and the scaling of the numbers, and what is assumed."""
    whole = port.number == "uint8"
    scaling = choices.scaling or ("0-255" if whole else "0-1")
    normal = scaling == "imagenet" or choices.mean is not None or choices.std is not None
    if whole and (normal or scaling != "0-255"):
        _refuse(graph, port, "whole numbers are not normalised: leave out --scaling, --mean, --std")
    values: dict[str, Any] = {
        "number": port.number,
        "divisor": 1.0 if scaling == "0-255" else 255.0,
        "mean": choices.mean or (IMAGENET_MEAN if scaling == "imagenet" else (0.0, 0.0, 0.0)),
        "std": choices.std or (IMAGENET_STD if scaling == "imagenet" else (1.0, 1.0, 1.0)),
    }
    assumed = (
        [] if whole or choices.scaling or normal else ["grey levels scaled to 0-1 (--scaling)"]
    )
    if choices.colour is None:
        assumed.append("colours in the order RGB (--colour)")
    return values, tuple(assumed)


def _refuse(graph: Graph, port: Port, reason: str) -> NoReturn:
    raise ModelFileError.of(
        graph.path,
        f"its input is {port}: {reason}",
        way_out="export it for one RGB image, [n, 3, height, width] or [n, height, width, 3]",
    )
