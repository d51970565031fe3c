"""What a Grand Challenge container does when it is run: one image in, one JSON out.

Two interfaces are known. MIDOG 2025 gives ``/input/inputs.json``, a list of sockets, of which the
one of kind Image names the folder with the image (``images/histopathology-roi-cropout``). MIDOG
2021 puts the image itself into ``/input``. Both want ``/output/mitotic-figures.json``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from metaphase.errors import InputError, MetaphaseError
from metaphase.exchange import grandchallenge
from metaphase.exchange.foreign import load_json
from metaphase.figures import Detections

INPUT, OUTPUT, MODEL = Path("/input"), Path("/output"), Path("/opt/algorithm/model")
SLUG = "histopathology-region-of-interest-cropout"
_IMAGES = {".tif", ".tiff", ".svs", ".ndpi", ".mrxs", ".png", ".jpg", ".jpeg", ".dcm"}

Detector = Callable[..., Detections]
"""Called as ``detect(image, model, mpp=...)``."""


def run(
    input_dir: str | Path = INPUT,
    output_dir: str | Path = OUTPUT,
    model: str | Path = MODEL,
    *,
    mpp: float | None = None,
    detect: Detector | None = None,
) -> Path:
    """Detect in the one image of an input folder and write the result.

    ``mpp`` (um/px) is for images whose tags do not tell it. Raises InputError where there is not
    exactly one image, and what reading and detecting raise.
    """
    input_dir, output = Path(input_dir), Path(output_dir) / grandchallenge.FILE_NAME
    version, image = find_image(input_dir)
    if detect is None:
        from metaphase.detection.detect import detect as real

        detect = real
    grandchallenge.write(detect(image, model, mpp=mpp), output, version)
    return output


def find_image(input_dir: Path) -> tuple[grandchallenge.Version, Path]:
    """Return the interface and its image. Raises InputError."""
    sockets = input_dir / "inputs.json"
    if sockets.is_file():
        return "2025", _only(input_dir / _image_folder(sockets, load_json(sockets)))
    return "2021", _only(input_dir)


def _image_folder(path: Path, sockets: Any) -> Path:
    """Return the folder that the image socket names, the challenge's own before others."""
    found: list[tuple[bool, str]] = []
    for socket in sockets if isinstance(sockets, list) else []:
        told = socket.get("interface", socket.get("socket")) if isinstance(socket, dict) else None
        if isinstance(told, dict) and "Image" in (told.get("kind"), told.get("super_kind")):
            found.append((told.get("slug") != SLUG, str(told.get("relative_path", ""))))
    if not found or not min(found)[1]:
        raise InputError.of(path, "names no image", record="inputs")
    folder = Path(min(found)[1])
    if folder.is_absolute() or ".." in folder.parts:
        raise InputError.of(path, f"names {folder}, which is outside of the input")
    return folder


def _only(folder: Path) -> Path:
    images = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in _IMAGES)
    if len(images) != 1:
        told = ", ".join(p.name for p in images[:5]) or "none"
        raise InputError.of(folder, f"holds {len(images)} images ({told}), not one")
    return images[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as the container does; METAPHASE_MPP tells a resolution that images do not.

    Exits with 2 where there is not one image that can be read.
    """
    told = os.environ.get("METAPHASE_MPP")
    places = _places(arguments)
    try:
        print(run(places.input, places.output, places.model, mpp=float(told) if told else None))
    except (MetaphaseError, ValueError) as error:
        print(f"metaphase: {error}", file=sys.stderr)
        sys.exit(2)


def _places(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the three folders: those of Grand Challenge unless told, to try it outside."""
    parser = argparse.ArgumentParser("metaphase.exchange.algorithm", description=__doc__)
    for name, usual in (("input", INPUT), ("output", OUTPUT), ("model", MODEL)):
        parser.add_argument(f"--{name}", type=Path, default=usual)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
