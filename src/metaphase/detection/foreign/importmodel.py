"""A model file of an ONNX file that was trained elsewhere, checked by running it on an image."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from metaphase import __version__
from metaphase.arrays import Pixels
from metaphase.classnames import label_of
from metaphase.detection.detect import detect
from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.decode import class_codes
from metaphase.detection.foreign.graph import Graph, open_graph
from metaphase.detection.foreign.inputspec import InputChoice, choose_input
from metaphase.detection.foreign.outputs import Question, trials
from metaphase.detection.foreign.picture import save_picture
from metaphase.detection.foreign.recognise import recognise_outputs
from metaphase.detection.foreign.tileinput import graph_input
from metaphase.detection.plan import TISSUE_ABOVE_MM2
from metaphase.errors import InputError, ModelFileError, Problem
from metaphase.figures import LABELS, Detections, Figure, Label
from metaphase.files import read_bytes, write_bytes
from metaphase.locks import locked_folder
from metaphase.models.card import HeadSpec, InputSpec, ModelCard, Threshold
from metaphase.models.cardfile import CARD_NAME
from metaphase.models.foreign import ForeignGraph
from metaphase.models.foreignkinds import LEFT_OUT
from metaphase.models.modelfile import Model, save_model
from metaphase.slides.slide import Slide
from metaphase.units import area_mm2, um_to_px

PICTURE_NAME = "check.png"
"""The test image with its detections, in the folder of the model file."""

MARGIN_UM = 12.5
"""Rim of a tile that is left to its neighbours: half of the largest usual figure, so that every
figure is whole in the tile that owns its centre."""

MIN_SCORE = 0.05
THRESHOLD = 0.5
_PLACES = (0.5, 0.2, 0.8)  # of trial tiles in the test image
_MANY_PER_MM2 = 2000  # ten times the density of mitotic figures in the most active tumours


@dataclass(frozen=True)
class Imported:
    """A model file that was written, its detections in the test image, and what was noticed.

    ``assumed`` is what neither the graph nor the user states; ``warnings`` are signs of a wrong
    assumption.
    """

    model: Model
    detections: Detections
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]


def import_model(
    path: str | Path,
    out: str | Path,
    choices: Choices,
    image: Slide,
    *,
    figures: Sequence[Figure] = (),
    overwrite: bool = False,
    command: str = "",
) -> Imported:
    """Make a model file of an ONNX file of another program.

    ``image`` is the test image: the graph is run on it, and ``check.png`` shows the detections.
    ``figures`` are its labels, for the picture. ``command`` is kept in the card. An existing model
    file is replaced with ``overwrite`` only. Nothing is written where the check fails. Raises
    ModelFileError for files that are not ONNX and for graphs that do not fit ``choices``,
    InputError for an image that is too large or an ``out`` that is in use.
    """
    out = Path(out)
    _check_out(out, overwrite)
    _check_image(image)
    graph = open_graph(path)
    classes = _classes(graph, choices)
    card = _describe(graph, choices, classes, image, command)
    with tempfile.TemporaryDirectory(prefix="metaphase-import-") as folder:
        trial = save_model(Path(folder) / "model", card, onnx=graph.data)
        found = detect(image, trial, device="onnx", min_score=MIN_SCORE)
        drawn = save_picture(image, found, figures, Path(folder) / PICTURE_NAME)
        picture = read_bytes(drawn)
    with locked_folder(out):
        write_bytes(out / PICTURE_NAME, picture)
        model = save_model(out, card, onnx=graph.data)
    assumed = () if card.foreign is None else card.foreign.assumed
    return Imported(model, found, assumed, tuple(_warnings(found)))


def _check_out(out: Path, overwrite: bool) -> None:
    if (out / CARD_NAME).exists() and not overwrite:
        raise InputError.of(
            out, "holds a model file", way_out="name another --out, or add --overwrite"
        )


def _check_image(image: Slide) -> None:
    area = area_mm2(image.width_px, image.height_px, image.mpp)
    if area > TISSUE_ABOVE_MM2:
        raise InputError.of(
            image.path,
            f"has {area:.0f} mm2, which is too much for a check",
            way_out=f"name a field or region of up to {TISSUE_ABOVE_MM2:g} mm2 with --check-image",
        )


def _classes(graph: Graph, choices: Choices) -> tuple[str, ...]:
    """Return the class names. Raises ModelFileError where one is unknown or all are left out."""
    classes = choices.classes or graph.class_names()
    if not classes:
        raise ModelFileError.of(
            graph.path,
            "does not name its classes",
            way_out="name them in their order, such as --classes 'mitotic figure,hard negative'",
        )
    labels = {name: label_of(name) for name in classes if not name.endswith(LEFT_OUT)}
    problems = [
        Problem(
            str(graph.path),
            f"class {name!r}",
            "is neither a mitotic figure nor a hard negative",
            "name all classes with --classes; end one in * to leave it out",
        )
        for name, label in labels.items()
        if label is None
    ]
    if not problems and Label.MITOTIC not in labels.values():
        problems = [Problem(str(graph.path), "classes", "none is a mitotic figure")]
    if problems:
        raise ModelFileError(problems)
    return classes


def _describe(
    graph: Graph, choices: Choices, classes: tuple[str, ...], image: Slide, command: str
) -> ModelCard:
    """Return the card: the input and the outputs, found out by trial runs.

    Where two layouts are possible, the second is tried if the first does not fit.
    """
    chosen = choose_input(graph, choices)
    tiles = _trial_tiles(image, chosen.tile_px, choices.mpp)
    try:
        foreign = _try(graph, choices, classes, chosen, tiles)
    except ModelFileError:
        if chosen.alternative is None:
            raise
        other = choose_input(graph, replace(choices, layout=chosen.alternative))
        with contextlib.suppress(ModelFileError):  # the first layout is the likely one
            foreign = _try(graph, choices, classes, other, tiles)
            return _card(foreign, choices, other.tile_px, command)
        raise
    return _card(foreign, choices, chosen.tile_px, command)


def _try(
    graph: Graph,
    choices: Choices,
    classes: tuple[str, ...],
    chosen: InputChoice,
    tiles: Sequence[Pixels],
) -> ForeignGraph:
    """Run the graph on tiles and return the description of its input and outputs."""
    spec = chosen.spec
    runs = [
        graph.run(graph_input(np.repeat(tile[None], spec.batch, axis=0), spec)) for tile in tiles
    ]
    question = Question(len(classes), spec, choices)
    found = trials(graph.outputs, runs, spec)
    output, assumed = recognise_outputs(graph, found, classes, question)
    return ForeignGraph(
        kind=choices.kind,
        file=graph.path.name,
        producer=graph.producer,
        input=spec,
        output=output,
        assumed=(*chosen.assumed, *assumed),
    )


def _trial_tiles(image: Slide, side: int, mpp: float) -> list[Pixels]:
    """Return tiles of the image, and a white one."""
    length = side * mpp / image.mpp
    width, height = max(0.0, image.width_px - length), max(0.0, image.height_px - length)
    corners = [(width * share, height * share) for share in _PLACES]
    tiles = [image.read(x, y, side, side, mpp) for x, y in corners]
    return [*tiles, np.full((side, side, 3), 255, dtype=np.uint8)]


def _card(foreign: ForeignGraph, choices: Choices, tile_px: int, command: str) -> ModelCard:
    codes = sorted({code for code in class_codes(foreign.output.classes) if code >= 0})
    margin = choices.margin
    if margin is None:
        margin = min(round(um_to_px(MARGIN_UM, choices.mpp)), tile_px // 4)
    try:
        return ModelCard(
            name=Path(foreign.file).stem,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            metaphase=__version__,
            network="imported graph",
            network_options={},
            input=InputSpec(
                mpp=choices.mpp, tile_px=tile_px, margin_px=margin, multiple_px=tile_px
            ),
            head=HeadSpec(kind="foreign", classes=tuple(LABELS[code] for code in codes)),
            normalisation={},
            merge_radius_um=choices.merge_radius_um,
            threshold=Threshold(
                value=THRESHOLD,
                chosen_on="nothing yet",
                protocol="a default: choose one with 'metaphase evaluate --choose-threshold'",
            ),
            training_data=[],
            recipe={},
            seed=0,
            versions={},
            command=command,
            limitations=(
                "It was trained elsewhere; what it was trained on is not known to metaphase.",
            ),
            foreign=foreign,
        )
    except ValidationError as error:
        raise InputError(
            Problem("import", ".".join(map(str, item["loc"])), item["msg"])
            for item in error.errors()
        ) from error


def _warnings(found: Detections) -> Iterator[str]:
    """Yield signs of a wrong input or a wrong reading of the outputs."""
    made = found.provenance
    mm2 = area_mm2(made.width_px, made.height_px, made.mpp)
    if not len(found):
        yield (
            f"no detection with a score of {MIN_SCORE:g} or more in the test image: it may hold no "
            "figures, or --scaling, --colour, --mpp or --decoding are wrong"
        )
    elif len(found) > _MANY_PER_MM2 * mm2:
        yield (
            f"{len(found)} detections in {mm2:.2f} mm2 of the test image: --scaling, --colour, "
            "--mpp, --scores or --decoding may be wrong"
        )
