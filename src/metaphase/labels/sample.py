"""The bundled sample: real fields of H&E images with labels, under a licence that allows copies."""

from __future__ import annotations

from pathlib import Path

from metaphase.errors import InputError
from metaphase.files import write_bytes

FOLDER = Path(__file__).resolve().parents[1] / "sample"
LABELS_NAME = "annotations.json"


def write_sample(out: str | Path) -> Path:
    """Write the sample's images, labels and licence into a folder and return the labels' path.

    The images are three fields of BreCaHAD (Aksac et al. 2019, CC BY 4.0), 1360x1024 px at an
    estimated 0.25 um/px. Existing files of the sample are replaced. Raises InputError if the folder
    cannot be written.
    """
    out = Path(out)
    try:
        for source in sorted(FOLDER.rglob("*")):
            if source.is_file():
                target = out / source.relative_to(FOLDER)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(target, source.read_bytes())
    except OSError as error:
        raise InputError.of(
            out, f"cannot be written: {error.strerror}", way_out="name another folder with --out"
        ) from error
    return out / LABELS_NAME
