"""What is fuzzed. A target reads one file; anything but a result or a MetaphaseError is a failure.

To add one, write a function of a path here and decorate it with ``target``: its name, the suffix
of the file, and the names of its seeds in ``tests/fuzz/corpus`` (all files that begin so).
"""

from __future__ import annotations

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
    "\n".join(finding_lines((*result.problems, *result.notes))).encode(errors="surrogateescape")
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
def _model_folder(parent: Path, kind: str) -> Path:
    """Return a copy of the bundled model (or a stand-in for an imported one) in a folder."""
    from metaphase.models.modelfile import default_model, load_model

    folder = parent / f"{kind}-model"
    if kind == "bundled":
        shutil.copytree(load_model(default_model()).folder, folder)
    else:
        folder.mkdir()
        (folder / "model.onnx").write_bytes((CORPUS / "onnx-graph.yolo.onnx").read_bytes())
    return folder


def _load_with_card(path: Path, kind: str) -> None:
    from metaphase.models.cardpage import card_markdown
    from metaphase.models.modelfile import load_model

    folder = _model_folder(path.parent.parent, kind)
    shutil.copyfile(path, folder / "card.json")
    model = load_model(folder, verify=False)
    card_markdown(model.card, model.id).encode("utf-8", "backslashreplace")


@target("model-card", ".json", "card.json", imports="metaphase.models.modelfile")
def model_card(path: Path) -> None:
    """Load a model file whose card was changed, and print the card."""
    _load_with_card(path, "bundled")


@target("foreign-card", ".json", "card.json", imports="metaphase.models.modelfile")
def foreign_card(path: Path) -> None:
    """The same of a network that was trained elsewhere."""
    _load_with_card(path, "foreign")


@target("onnx-graph", ".onnx", imports="metaphase.detection.foreign.importmodel")
def onnx_graph(path: Path) -> None:
    """Open an ONNX graph of another program, run it, recognise its outputs and decode them."""
    import numpy as np

    from metaphase.detection.foreign.choices import Choices
    from metaphase.detection.foreign.decode import decode_foreign
    from metaphase.detection.foreign.graph import open_graph
    from metaphase.detection.foreign.inputspec import choose_input
    from metaphase.detection.foreign.outputs import Question, trials
    from metaphase.detection.foreign.recognise import recognise_outputs
    from metaphase.detection.foreign.tileinput import graph_input
    from metaphase.models.foreign import ForeignGraph

    graph = open_graph(path)
    choices = Choices(kind="yolo", mpp=0.25, tile=64, classes=("mitotic figure",))
    chosen = choose_input(graph, choices)
    spec = chosen.spec
    if spec.batch * chosen.tile_px**2 > 1 << 20:
        return
    tiles = np.full((spec.batch, chosen.tile_px, chosen.tile_px, 3), 200, np.uint8)
    outputs = graph.run(graph_input(tiles, spec))
    found = trials(graph.outputs, [outputs], spec)
    names = ("mitotic figure",)
    output, assumed = recognise_outputs(graph, found, names, Question(len(names), spec, choices))
    foreign = ForeignGraph(
        kind=choices.kind, file=path.name, input=spec, output=output, assumed=assumed
    )
    batched = [
        values if known else values[None]
        for values, known in zip(
            [outputs[i] for i in output.positions], output.batched, strict=True
        )
    ]
    decode_foreign(batched, foreign, chosen.tile_px, min_score=0.05)


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


@cache
def _commands() -> dict[tuple[str, ...], object]:
    from metaphase.cli.configfile import all_commands

    return dict(all_commands())


@target("config", ".toml", "metaphase.toml", imports="metaphase.cli.configfile")
def config(path: Path) -> None:
    """Read the defaults that a configuration file sets for two commands."""
    from metaphase.cli.configfile import read_config, settings_of

    files = [(path, read_config(path))]
    for words in (("detect",), ("data", "check")):
        settings_of(files, words, _commands()[words])


@target("loop-settings", ".json", "loop.json", imports="metaphase.learning.loopfolder")
@target("loop-order", ".json", "order.json", imports="metaphase.learning.loopfolder")
def loop(path: Path) -> None:
    """Read the settings of a learning loop, or the candidates to review next."""
    from metaphase.learning.loopfolder import LoopFolder

    folder = LoopFolder(path.parent)
    folder.order()
    if path.name != "loop.json":
        return
    for image in folder.settings().images:
        inside = folder.candidates(image.name).resolve()
        assert inside.is_relative_to(path.parent.resolve()), "a name outside of the loop"


@target("loop-round", ".json", "round.json", imports="metaphase.learning.roundresult")
def loop_round(path: Path) -> None:
    """Read and print the scores of a round."""
    from metaphase.learning.loopfolder import LoopFolder
    from metaphase.learning.roundresult import load_rounds, round_lines

    loop = LoopFolder(path.parent)
    loop.round(1).mkdir(parents=True)
    shutil.copy(path, loop.round(1))
    "\n".join(round_lines(load_rounds(loop))).encode("utf-8", "backslashreplace")


@target("loop-candidates", ".npz", imports="metaphase.learning.candidates")
def loop_candidates(path: Path) -> None:
    """Read the candidates of an image."""
    from metaphase.learning.candidates import SlideCandidates

    found = SlideCandidates.load(path)
    assert len(found.mean_features) == len(found.points) == len(found)


@target("scanner-filters", ".npz", imports="metaphase.training.patches.scannerfilters")
def scanner_filters(path: Path) -> None:
    """Read filters between two scanners."""
    from metaphase.training.patches.scannerfilters import load_filters

    load_filters(path)


@target("review-store", ".sqlite", imports="metaphase.viewer.store")
def review_store(path: Path) -> None:
    """Open a store of decisions, read all of it, and add a decision."""
    from metaphase.figures import Label
    from metaphase.viewer.store import Decision, ReviewStore, State

    store = ReviewStore(path)
    try:
        for slide in ("a", "b"):
            store.since(slide)
            store.remarks_since(slide)
        sorted(store.reviewers())
        store.add(Decision("a", "d100_100_0", State.CONFIRMED, "ben", Label.MITOTIC, 1.0, 1.0))
    finally:
        store.close()


@target("image-list", ".txt", imports="metaphase.detection.inputs")
def image_list(path: Path) -> None:
    """Read a list of images, and name their results."""
    from metaphase.detection.inputs import jobs_for_paths

    out = path.parent / "out"
    for job in jobs_for_paths([path], out=out):
        assert (out / job.name).resolve().is_relative_to(out.resolve()), "a result outside of --out"


@target("image-hashes", ".jsonl", ".hashes.jsonl", imports="metaphase.detection.imagehashes")
def image_hashes(path: Path) -> None:
    """Read the hashes of earlier runs."""
    from metaphase.detection.imagehashes import ImageHashes

    ImageHashes(path).get(Path("/x/a.svs"))


@target("summary", ".csv", "summary.csv", imports="metaphase.detection.summary")
def summary(path: Path) -> None:
    """Continue the table of an earlier run."""
    from metaphase.detection.summary import SummaryTable

    SummaryTable(path).finish(["a", "b"])


@target("shifts", ".json", imports="metaphase.stress.stress")
def shifts(path: Path) -> None:
    """Read differences between scanners."""
    from metaphase.stress.stress import read_shifts

    read_shifts(path)


@target("validation", ".json", imports="metaphase.counting.validation")
def validation(path: Path) -> None:
    """Read the counts of a validation."""
    from metaphase.counting.validation import read_validation

    read_validation(str(path)).at(0.5)


@target("tissue", ".geojson", "tissue.geojson", imports="metaphase.counting.analysedregion")
def tissue(path: Path) -> None:
    """Read the tissue that was analysed."""
    from metaphase.counting.analysedregion import load_analysed_region
    from metaphase.provenance import Parameters, Provenance

    made_by = Provenance("a", 900, 800, 0.25, parameters=Parameters(tissue=True))
    load_analysed_region(path.parent, made_by)


@target("midog-table", ".csv", "datasets_xvalidation.csv", imports="metaphase.labels.formats.midog")
def midog_table(path: Path) -> None:
    """Read MIDOG++'s table of cases."""
    from metaphase.labels.formats.midog import read_table_of_cases

    read_table_of_cases(path)


@target("undecided", ".csv", "undecided.csv", imports="metaphase.labels.undecided")
def undecided(path: Path) -> None:
    """Read what a review left undecided."""
    from metaphase.labels.undecided import undecided_by_case

    undecided_by_case(path.parent / "figures.csv")
