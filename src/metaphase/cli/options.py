"""The options and arguments of all commands, each defined once.

A word has one meaning: the same option of two commands has the same flags, type and help. Rules:

- An argument (without dashes) is the input that a command processes: images, detections, a recipe,
  or labels in ``metaphase data``. Everything else is an option.
- A model is always ``--model``, labels beside another input are always ``--labels``, and what is
  written goes to ``--out``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer


@dataclass(frozen=True, slots=True)
class Definition:
    """One option: its help, further flags, limits of its value, and how the value is called."""

    help: str
    short: str | None = None
    off: str | None = None
    min: float | None = None
    max: float | None = None
    metavar: str | None = None


_OUT_FOLDER = "Folder to write the results to."
_OUT_FILE = "File to write the results to."

NETWORK_HELP = {
    "--mpp": "Resolution in um/px that the network was trained at.",
    "--merge-radius-um": "Detections within this distance in um are merged into the best one.",
}
"""Help of options that describe a network where an option of that name describes images."""

ARGUMENTS: dict[str, str] = {
    "images": "Images, folders of images, .txt lists of images, or addresses (https://, s3://,"
    " gs://).",
    "detections": "Detections: what 'metaphase detect' or 'metaphase cross-validate' wrote, or"
    " files of other tools.",
    "first": "First model, detections or evaluation.",
    "second": "Second model, detections or evaluation.",
    "graph": "Network of another program: an ONNX file.",
    "labels": "File of labels, or a folder that holds one.",
    "recipe": "The recipe: a TOML file, or the name of a bundled recipe.",
    "command": "Command, such as detect or data check. Without it, what the files set.",
    "name": "Name of a bundled recipe. Without it, all are listed.",
    "results": "Scores ('metaphase evaluate --out') and folders of training runs.",
    "published": "Name of a published split.",
    "dataset": "Name of a public data set.",
    "loop": "Folder of a learning loop, which 'metaphase learn start' wrote.",
}

OPTIONS: dict[str, Definition] = {
    # Input
    "--model": Definition("Model file (a folder), or the name of a bundled model.", "-m"),
    "--labels": Definition("File of labels, or a folder that holds one.", "-l"),
    "--detections": Definition("Folder that 'metaphase detect' wrote.", "-d"),
    "--sample": Definition("Use the bundled sample: three real fields with labels."),
    "--images": Definition("Folder of the images that the labels or detections name."),
    "--case-table": Definition("CSV of the cases, for a plain table of labels or MIDOG++."),
    "--labels-format": Definition(
        "Format of the labels: midog, sliderunner, coco, table, qupath or images. Without it the"
        " format is recognised."
    ),
    "--detections-format": Definition(
        "Format of the detections, such as csv, coco or qupath. Without it the format is"
        " recognised."
    ),
    "--truth": Definition("COCO file with the image ids that COCO results refer to."),
    "--mpp": Definition(
        "Resolution in um/px of images whose file does not state it.", min=0.0001, metavar="UM"
    ),
    "--force-mpp": Definition("Use --mpp also for images whose file states a resolution."),
    "--scanner": Definition("Scanner of images whose labels or file do not state it."),
    "--only-scanner": Definition("Only this scanner. Repeatable."),
    "--only-tumour": Definition("Only this tumour type. Repeatable."),
    "--only": Definition(
        "Only these cases: ids, patterns (A04_*) or domains (group:A04). Repeatable."
    ),
    "--case": Definition("Show one case and its figures."),
    "--split": Definition("File of a split of the cases."),
    "--part": Definition("Part of the split: training, validation, test or unlabelled."),
    "--by": Definition("Kind of group: scanner, tumour, species, laboratory or group."),
    "--labelled-only": Definition("Leave unlabelled cases out."),
    "--allow-missing": Definition("Leave cases without detections out."),
    "--absent-is-empty": Definition(
        "Cases that a file of another tool does not name have no detections."
    ),
    "--masked": Definition("JSON of image regions that must not be used."),
    "--check-pixels": Definition(
        "Compare the pixels of all images, to find one image on both sides of a split."
    ),
    "--hold-out": Definition(
        "Crops that no fold trains on: ids, patterns, domains or @list.txt. Repeatable.",
        metavar="PATTERN",
    ),
    # Region of a slide
    "--region": Definition("Only this region: x,y,width,height in full-resolution pixels."),
    "--roi": Definition("Only within the polygons of a GeoJSON file from QuPath."),
    "--tissue": Definition(
        "Only where there is tissue. Default: on images above 10 mm2.", off="--no-tissue"
    ),
    "--keep-stains": Definition(
        "Do not normalise the stains of the image, for example of mosaics of crops."
    ),
    # Scoring and threshold
    "--threshold": Definition(
        "Score from which a detection counts. Default: the threshold stored with the model.",
        min=0,
        max=1,
    ),
    "--min-score": Definition("Lowest score of the detections that are saved."),
    "--choose-threshold": Definition("Choose the threshold with the best F1 on these cases."),
    "--save-threshold-in": Definition("Model file in which to store the chosen threshold."),
    "--threshold-from": Definition(
        "Cases on which each fold's threshold is chosen: other-folds, or an inner part."
    ),
    "--radius-um": Definition("Matching radius in um.", min=0.01),
    "--merge-radius-um": Definition(
        "First merge detections within this distance in um, for tools without suppression.",
        min=0.01,
    ),
    "--rule": Definition("Rule by which detections and figures are matched."),
    "--protocol": Definition(
        "exercise: also print the scores on patches that are placed by the truth."
    ),
    "--resamples": Definition("Bootstrap resamples; 0: no intervals.", min=0),
    "--intervals": Definition("Kind of bootstrap interval."),
    "--compare": Definition("Other detections, or scores, to compare with. Repeatable."),
    "--per-case": Definition("Print the scores of every case."),
    # Count
    "--area-mm2": Definition("Area of the window in mm2. Default: 2, or that of ten fields."),
    "--shape": Definition("Shape of the window: circle, square, or an aspect ratio such as 4:3."),
    "--either-way": Definition("Also try the window turned by 90 degrees."),
    "--field-diameter": Definition("Diameter in mm of a high-power field, for area and score."),
    "--top": Definition("Number of separate hotspots.", min=1),
    "--min-tissue": Definition("Least share of tissue in the window.", min=0, max=1),
    "--validation": Definition(
        "Precision and recall of the detector, for intervals: counts TP,FP,FN, scores of 'metaphase"
        " evaluate', or a model file. Default: those stored with the detections."
    ),
    "--review": Definition("CSV of a reader's decisions."),
    "--complete": Definition("All of the window was reviewed."),
    "--density": Definition("Also write density.csv."),
    # Splits
    "--validation-share": Definition("Share of the cases for validation, 0 to 1."),
    "--test-share": Definition("Share of the cases for the test, 0 to 1."),
    "--validate-on": Definition("share: of the training part; next: all cases of the next group."),
    # Training
    "--set": Definition(
        "Change a value of the recipe, such as trainer.epochs=5. Repeatable.", metavar="KEY=VALUE"
    ),
    "--method": Definition("Method: adabn, mean-teacher, or one of your own."),
    "--method-option": Definition(
        "Change an option of the method. Repeatable.", metavar="KEY=VALUE"
    ),
    "--steps": Definition("Training steps, for methods that train.", min=1),
    "--learning-rate": Definition("Learning rate, for methods that train.", min=0),
    "--decisions": Definition("Number of candidates to propose for the next review.", min=1),
    "--candidates": Definition("Most candidates of an image that take part.", min=10),
    "--depth": Definition(
        "What is trained: head (the last layer, seconds), last (also the last stage of the"
        " backbone, minutes) or all (the whole second stage)."
    ),
    "--measure": Definition(
        "Measure a few training steps and patches on this computer.", off="--no-measure"
    ),
    "--sweep": Definition("Only this sweep, such as hue. Repeatable."),
    "--shifts": Definition("JSON of differences between scanners, to mark in the plots."),
    # Synthetic images
    "--cases-per-scanner": Definition("Number of synthetic cases of each scanner.", min=1),
    "--size": Definition("Side of a synthetic region in px.", min=128),
    "--label-all": Definition("Label the cases of scanner D too."),
    "--slide": Definition("Write one pyramidal slide instead of a data set."),
    "--width": Definition("Width of the slide in px.", min=2048),
    "--height": Definition("Height of the slide in px.", min=2048),
    "--tissue-mm2": Definition("Tissue on the slide in mm2. Default: half of its area."),
    # Output
    "--out": Definition(_OUT_FOLDER, "-o"),
    "--overwrite": Definition("Repeat work that is finished, and replace its results."),
    "--overlay": Definition(
        "Draw overlay.png. Default: for at most 20 images.", off="--no-overlay"
    ),
    "--json": Definition("Print the result as JSON."),
    "--all-findings": Definition("List every finding."),
    "--quiet": Definition("Show no progress."),
    "--verbose": Definition("Print details: settings, size and area of each image, tracebacks."),
    "--log-file": Definition("File to append a log to, with date and time of each line."),
    "--to": Definition("Format to write."),
    "--all-scores": Definition(
        "Write detections of all scores, or those that count. Default: those that count for QuPath,"
        " SlideRunner and DICOM, else all.",
        off="--above-threshold",
    ),
    "--box-um": Definition("Side of boxes in um, for QuPath (default: points) and COCO."),
    "--weights": Definition(
        "Number format of the weights: fp32, fp16 (GPU), int8 (CPU) or packed (smallest)."
    ),
    "--calibrate": Definition("Images, folders or .txt lists to calibrate int8 on. Repeatable."),
    "--tiles": Definition("Number of tiles to calibrate int8 on.", min=8),
    "--wheel": Definition("Wheel of metaphase to install, instead of the published one."),
    "--name": Definition("Name of each model in the report, in their order. Repeatable."),
    "--title": Definition("Heading of the report."),
    "--crops": Definition("Number of crops in each gallery; 0: none.", min=0),
    "--true-positives": Definition("True positives on each of their two sheets.", min=0),
    "--verify": Definition("Check files that are present, and replace damaged ones."),
    "--api": Definition("Address of the record's API, instead of the public one."),
    # Imported networks
    "--kind": Definition(
        "Kind of network: yolo, retinanet, fcos, points (heat maps), or boxes (any other network"
        " that gives boxes, scores and labels)."
    ),
    "--tile": Definition("Side in px of the tiles that the network is run on.", min=32),
    "--classes": Definition(
        "Its classes in their order, such as 'mitotic figure,hard negative'. A name that ends in *"
        " is left out. Default: those that the file names."
    ),
    "--layout": Definition("Order of the axes of the input: nchw, nhwc, chw or hwc."),
    "--colour": Definition("Order of the colours: rgb or bgr. Default: rgb."),
    "--scaling": Definition(
        "Scaling of the grey levels: 0-1, 0-255, or imagenet (0-1, then ImageNet's mean and"
        " standard deviation). Default: 0-1, or 0-255 for an input of whole numbers."
    ),
    "--mean": Definition("Mean of R,G,B that is subtracted after the scaling.", metavar="R,G,B"),
    "--std": Definition("Standard deviation of R,G,B to divide by.", metavar="R,G,B"),
    "--resize": Definition(
        "How a tile becomes an input of another size: none, stretch or letterbox."
    ),
    "--margin": Definition(
        "Rim of a tile in px whose detections the neighbours give. Default: 12.5 um.", min=0
    ),
    "--decoding": Definition(
        "Decoding of the outputs: rows, batch-rows, boxes, class-boxes, yolov5, yolov8, retinanet,"
        " retinanet-levels, fcos or heat-map. Without it the decoding is recognised."
    ),
    "--scores": Definition(
        "What the scores are: probability, logit or softmax. Without it they are recognised."
    ),
    "--box-format": Definition(
        "Order of the numbers of a box: xyxy, yxyx, xywh or cxcywh. Default: cxcywh for raw YOLO,"
        " else xyxy."
    ),
    "--coordinates": Definition(
        "Unit of the boxes: pixels of the input, or unit (0 to 1). Without it they are recognised."
    ),
    "--first-label": Definition(
        "Number of the first class, 0 or 1. Default: as seen in the test image, else 1 for"
        " retinanet and fcos, 0 for others.",
        min=0,
        max=1,
    ),
    "--strides": Definition("Strides of raw RetinaNet or FCOS outputs, such as 8,16,32."),
    "--anchor-sizes": Definition(
        "Sizes in px of the anchors of each level, such as '32,40;64,80'. Default: torchvision's."
    ),
    "--aspect-ratios": Definition("Height over width of the anchors, such as 0.5,1,2."),
    "--check-image": Definition(
        "Image with figures on which the network is tried. Default: a bundled field."
    ),
    "--check-mpp": Definition(
        "Resolution in um/px of the test image, if its file does not state it.",
        min=0.0001,
        metavar="UM",
    ),
    # Execution
    "--device": Definition("auto (the fastest), onnx, openvino, torch or cuda."),
    "--precision": Definition(
        "Precision of the computation: fp32, bf16, int8, or auto (what is fast on this CPU)."
    ),
    "--threads": Definition("Number of CPU cores to use. Default: all.", min=1),
    "--batch": Definition("Number of tiles in a batch, at most 16.", min=1),
    "--cluster": Definition(
        "Dask scheduler whose workers do the work, such as tcp://host:8786.", metavar="ADDRESS"
    ),
    "--jobs": Definition("Number of folds to train at a time, sharing the threads.", "-j", min=1),
    "--seed": Definition("Seed of the random numbers.", min=0),
    # Review page
    "--compare-with": Definition(
        "Results of 'metaphase detect' with another model on the same images, to compare with."
    ),
    "--store": Definition("File that holds the decisions."),
    "--reviewer": Definition("Name of the reader. Default: the login name."),
    "--blind": Definition("Hide the decisions of other readers."),
    "--export": Definition("Write the reviewed labels to this folder and end."),
    "--partial": Definition("Export slides as labelled that are not marked as complete."),
    "--port": Definition("Port to listen on; 0: any free port.", min=0, max=65535),
    "--host": Definition("Address to listen on."),
    "--allow-host": Definition("Host name under which a proxy serves the page. Repeatable."),
    "--token": Definition("Admit only addresses with the secret token.", off="--no-token"),
    "--browser": Definition("Open the page in a browser.", off="--no-browser"),
}


def option(name: str, *, panel: str | None = None, default: str | bool = True) -> Any:
    """Return the definition of an option for an annotation.

    ``panel`` is the heading under which ``--help`` lists it. ``default`` describes the default
    value; False shows none.
    """
    definition = OPTIONS[name]
    flags = f"{name}/{definition.off}" if definition.off else name
    names = [flags] if definition.short is None else [flags, definition.short]
    return typer.Option(
        *names,
        help=definition.help,
        min=definition.min,
        max=definition.max,
        metavar=definition.metavar,
        rich_help_panel=panel,
        show_default=default,
    )


def out_file(*, default: str | bool = True, panel: str | None = None) -> Any:
    """Return ``--out`` of a command that writes one file."""
    return typer.Option("--out", "-o", help=_OUT_FILE, rich_help_panel=panel, show_default=default)


def network_option(name: str, *, panel: str | None = None, default: str | bool = True) -> Any:
    """Return ``--mpp`` or ``--merge-radius-um`` of a network, not of images or detections."""
    definition = OPTIONS[name]
    return typer.Option(
        name,
        help=NETWORK_HELP[name],
        min=definition.min,
        metavar=definition.metavar,
        rich_help_panel=panel,
        show_default=default,
    )


def argument(name: str, *, default: str | bool = False) -> Any:
    """Return the definition of a positional argument for an annotation."""
    return typer.Argument(help=ARGUMENTS[name], show_default=default)


def check_truth(truth: object, *detections: Any) -> None:
    """Refuse ``--truth`` where none of the files or folders of detections uses it."""
    from metaphase.exchange.bycase import uses_truth

    if truth is not None and not any(map(uses_truth, detections)):
        raise typer.BadParameter("--truth has no effect: it is for bare lists of COCO results")
