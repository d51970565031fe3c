"""The program that a Grand Challenge container runs: one image in, one JSON out.

Two interfaces are known. MIDOG 2025 gives ``/input/inputs.json``, a list of sockets, of which the
one of kind Image names the folder with the image (``images/histopathology-roi-cropout``). MIDOG
2021 puts the image itself into ``/input``. The result is ``/output/mitotic-figures.json``.
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
from metaphase.figures import Detections
from metaphase.textfile import read_json
from metaphase.values import finite, shown

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

    ``mpp`` (um/px) is for images without a resolution in their tags. Raises InputError where there
    is not exactly one image, and the errors of reading and detecting.
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
        return "2025", _only(input_dir / _image_folder(sockets, read_json(sockets)))
    return "2021", _only(input_dir)


def _image_folder(path: Path, sockets: Any) -> Path:
    """Return the folder that the image socket names, the challenge's own before others."""
    folders: list[tuple[bool, str]] = []
    for item in sockets if isinstance(sockets, list) else []:
        socket = item.get("interface", item.get("socket")) if isinstance(item, dict) else None
        if isinstance(socket, dict) and "Image" in (socket.get("kind"), socket.get("super_kind")):
            path_text = socket.get("relative_path")
            if isinstance(path_text, str):
                folders.append((socket.get("slug") != SLUG, path_text))
    if not folders or not min(folders)[1]:
        raise InputError.of(path, "names no image", record="inputs")
    folder = Path(min(folders)[1])
    if folder.is_absolute() or ".." in folder.parts:
        raise InputError.of(path, f"names {folder}, which is outside of the input")
    return folder


def _only(folder: Path) -> Path:
    try:
        images = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in _IMAGES and not path.name.startswith(".") and path.is_file()
        )
    except (OSError, ValueError) as error:  # a name that no folder can have
        raise InputError.of(folder, f"cannot be searched: {error}") from error
    if len(images) != 1:
        names = ", ".join(p.name for p in images[:5]) or "none"
        raise InputError.of(folder, f"holds {len(images)} images ({names}), not one")
    return images[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as the container does; METAPHASE_MPP is the resolution of images without one.

    Exits with 2 where there is not exactly one image that can be read.
    """
    folders = _folders(arguments)
    try:
        print(run(folders.input, folders.output, folders.model, mpp=_mpp_of_environment()))
    except MetaphaseError as error:
        print(f"metaphase: {error}", file=sys.stderr)
        sys.exit(2)


def _mpp_of_environment() -> float | None:
    text = os.environ.get("METAPHASE_MPP")
    if not text:
        return None
    mpp = finite(text)
    if mpp is None or mpp <= 0:
        raise InputError.of("METAPHASE_MPP", f"{shown(text)} is not a resolution in um/px")
    return mpp


def _folders(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the three folders: those of Grand Challenge, or others to try it outside."""
    parser = argparse.ArgumentParser("metaphase.exchange.algorithm", description=__doc__)
    for name, usual in (("input", INPUT), ("output", OUTPUT), ("model", MODEL)):
        parser.add_argument(f"--{name}", type=Path, default=usual)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
