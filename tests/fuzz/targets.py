"""What is fuzzed. A target reads one file; anything but a result or a MetaphaseError is a failure.

To add one, write a function of a path here and decorate it with ``target``: its name, the suffix
of the file, and the names of its seeds in ``tests/fuzz/corpus`` (all files that begin so).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Target:
    """A reader under test. ``file_name`` is the name that the input gets.

    ``imports`` is the module that the reader needs, or empty.
    """

    name: str
    read: Read
    suffix: str
    file_name: str
    imports: str = ""

    def seeds(self) -> list[bytes]:
        """Return the inputs to begin with, by name."""
        return [path.read_bytes() for path in sorted(CORPUS.glob(f"{self.name}.*"))]


TARGETS: dict[str, Target] = {}


def target(
    name: str, suffix: str, file_name: str = "", *, imports: str = ""
) -> Callable[[Read], Read]:
    """Register a function that reads one file."""

    def register(read: Read) -> Read:
        TARGETS[name] = Target(name, read, suffix, file_name or f"input{suffix}", imports)
        return read

    return register


@target("labels-coco", ".json", imports="metaphase.labels.audit")
@target("labels-midog", ".json", imports="metaphase.labels.audit")
@target("labels-qupath", ".geojson", imports="metaphase.labels.audit")
@target("labels-table", ".csv", "figures.csv", imports="metaphase.labels.audit")
@target("labels-cases", ".csv", "cases.csv", imports="metaphase.labels.audit")
@target("labels-sliderunner", ".sqlite", imports="metaphase.labels.audit")
def labels(path: Path) -> None:
    """Audit labels and, if they are good, write them as a table."""
    from metaphase.labels.audit import audit
    from metaphase.labels.findings import finding_lines
    from metaphase.labels.formats.table import save_table

    result = audit(path, mpp=0.25)
    "\n".join(finding_lines((*result.problems, *result.notes))).encode()
    if result.ok:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            save_table(result.dataset, folder)


@target("split", ".json", imports="metaphase.labels.split")
def split(path: Path) -> None:
    """Read a split."""
    from metaphase.labels.split import load_split

    load_split(path).model_dump_json()


@target("detections-csv", ".csv", imports="metaphase.exchange.read")
@target("detections-coco", ".json", imports="metaphase.exchange.read")
@target("detections-qupath", ".geojson", imports="metaphase.exchange.read")
@target(
    "detections-grandchallenge", ".json", "mitotic-figures.json", imports="metaphase.exchange.read"
)
@target("detections-sliderunner", ".sqlite", imports="metaphase.exchange.read")
def detections(path: Path) -> None:
    """Read detections of other tools and write them as CSV."""
    from metaphase.exchange import csv
    from metaphase.exchange.read import read_detections

    read = read_detections(path, mpp=0.25)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        csv.write(read, Path(folder) / "all.csv")


@target("detections-dicom", ".dcm", imports="metaphase.exchange.dicom")
def dicom(path: Path) -> None:
    """Read DICOM annotations."""
    from metaphase.exchange import dicom
    from metaphase.exchange.importedfile import ImageFacts

    dicom.read(path, ImageFacts(0.25))


@target("detections-saved", ".csv", "detections.csv", imports="metaphase.detectionfile")
@target("detections-provenance", ".json", "detections.json", imports="metaphase.detectionfile")
def saved(path: Path) -> None:
    """Read detections that metaphase wrote; the other of the two files is good."""
    from metaphase.detectionfile import load_detections, save_detections
    from metaphase.figures import Detections
    from metaphase.provenance import Provenance

    data = path.read_bytes()
    good = Detections([1.0], [2.0], [0.5], provenance=Provenance("a.svs", 90, 80, 0.25))
    save_detections(good, path.parent)
    path.write_bytes(data)
    read = load_detections(path.parent)
    save_detections(read, path.parent / "again")


@target("region", ".geojson", imports="metaphase.slides.mask")
def region(path: Path) -> None:
    """Read the polygons of a region of interest and fill them."""
    from metaphase.slides.mask import TissueMask

    TissueMask.from_geojson(path, 0.25, 2000, 1500)


@target("review", ".csv", imports="metaphase.counting.review")
def review(path: Path) -> None:
    """Read the decisions of a review."""
    from metaphase.counting.review import load_review

    load_review(path)


@target("scores", ".json", imports="metaphase.evaluation.scoresfile")
def scores(path: Path) -> None:
    """Read scores that ``evaluate`` wrote."""
    from metaphase.evaluation.scoresfile import load_scores

    load_scores(path)


@target("algorithm-inputs", ".json", "inputs.json", imports="metaphase.exchange.algorithm")
def algorithm_inputs(path: Path) -> None:
    """Find the image of a Grand Challenge container."""
    from metaphase.exchange.algorithm import find_image

    find_image(path.parent)


@cache
def _model_files(folder: Path) -> list[Path]:
    """Return a copy of the bundled model's files in a folder, without the card."""
    from metaphase.models.modelfile import default_model, load_model

    folder.mkdir()
    files = [path for path in load_model(default_model()).folder.iterdir() if path.is_file()]
    return [Path(shutil.copy(path, folder)) for path in files if path.name != "card.json"]


@target("model-card", ".json", "card.json", imports="metaphase.models.modelfile")
def model_card(path: Path) -> None:
    """Load a model file whose card was changed."""
    from metaphase.models.modelfile import load_model

    for file in _model_files(path.parent.parent / "model"):
        os.link(file, path.parent / file.name)
    load_model(path.parent, verify=False)


@target("recipe", ".toml", imports="metaphase.training.recipe.recipe")
def recipe(path: Path) -> None:
    """Read a training recipe."""
    from metaphase.errors import DeprecatedNameWarning
    from metaphase.training.recipe.recipe import load_recipe, resolved

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecatedNameWarning)
        recipe = load_recipe(path)
    resolved(recipe).encode()


@target("mined-places", ".csv")
def mined_places(path: Path) -> None:
    """Read mined hard negatives."""
    from metaphase.training.patches.minedplaces import load_mined

    load_mined(path)


@target("masked-places", ".json")
def masked_places(path: Path) -> None:
    """Read masked places of two cases."""
    from metaphase.labels.dataset import Case, Dataset
    from metaphase.training.data.masked import load_masked

    load_masked(path, Dataset([Case("a", image=Path("a.png")), Case("b")]))


@target("image-png", ".png", imports="metaphase.slides.open")
@target("image-jpeg", ".jpg", imports="metaphase.slides.open")
@target("image-tiff", ".tif", imports="metaphase.slides.open")
@target("image-ometiff", ".ome.tif", imports="metaphase.slides.open")
@target("image-svs", ".svs", imports="metaphase.slides.open")
def image(path: Path) -> None:
    """Open an image and read a part of it."""
    from metaphase.slides.open import open_slide

    with open_slide(path, mpp=0.25) as slide:
        slide.read(3, 4, 32, 32, 0.5)


@target("image-dicom", ".dcm")
@target("image-index", ".vms")
def parts(path: Path) -> None:
    """Find the slides of a folder in which one file names others, or belongs to a series."""
    from metaphase.imagefiles.find import images_in

    (path.parent / "S.jpg").write_bytes(b"a picture")
    images_in(path.parent)
