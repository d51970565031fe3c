"""Writes a folder from which ``docker build`` makes a Grand Challenge algorithm.

The image holds Python, metaphase and one model file. It runs as a user without rights, reads
/input, writes /output and needs no network at run time.
"""

from __future__ import annotations

from pathlib import Path

from metaphase import __version__
from metaphase.errors import InputError
from metaphase.files import read_bytes, write_bytes, write_text
from metaphase.locks import locked_folder
from metaphase.models.modelfile import Model, copy_model, load_model

_DOCKERFILE = """\
# {title}
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 HOME=/tmp{mpp}

RUN groupadd --system algorithm && useradd --system --gid algorithm --no-create-home algorithm

WORKDIR /opt/algorithm
{wheel}RUN python -m pip install {package}
COPY model /opt/algorithm/model

USER algorithm
ENTRYPOINT ["python", "-m", "metaphase.exchange.algorithm"]
"""

_README = """\
# {title}

A Grand Challenge algorithm made by metaphase {version} from the model {model}.

    docker build --platform linux/amd64 -t {tag} .
    docker run --rm --network none --read-only --tmpfs /tmp \\
        -v "$PWD/test/input:/input:ro" -v "$PWD/test/output:/output" {tag}
    docker save {tag} | gzip -c > {tag}.tar.gz

The container reads the one image in /input (MIDOG 2021), or the one that /input/inputs.json names
(MIDOG 2025), and writes /output/mitotic-figures.json with positions in mm. It takes the resolution
from the image's tags; for images without one, build with `--mpp`. Its user must be able to write to
/output.

Research use only; not for diagnosis.
"""

_IGNORE = "test\n*.tar.gz\n"


def write_container(
    folder: str | Path,
    model: str | Path,
    *,
    wheel: str | Path | None = None,
    mpp: float | None = None,
) -> Path:
    """Write Dockerfile, README.md, .dockerignore and the model. The folder must not exist yet.

    The image installs this version of metaphase from the package index, or the ``wheel`` if one is
    given. Raises InputError for a folder with something in it, ModelFileError for a bad model.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError.of(folder, "exists already", way_out="name a new folder")
    if mpp is not None and not 0.01 <= mpp <= 100:
        raise InputError.of("container", f"{mpp} is not a resolution in um/px")
    loaded = load_model(model)
    if loaded.onnx_path is None:
        raise InputError.of(
            model,
            "has no ONNX file, which is what the container runs",
            way_out="write one with 'metaphase export'",
        )
    if wheel is not None and (not Path(wheel).is_file() or Path(wheel).suffix != ".whl"):
        raise InputError.of(wheel, "is not a wheel", way_out="make one with: pip wheel --no-deps .")
    with locked_folder(folder):
        _write(folder, loaded, None if wheel is None else Path(wheel), mpp)
    return folder


def _write(folder: Path, model: Model, wheel: Path | None, mpp: float | None) -> None:
    copy_model(model, folder / "model")  # what the card names, and nothing else in that folder
    copy, package = "", f"metaphase=={__version__}"
    if wheel is not None:
        write_bytes(folder / wheel.name, read_bytes(wheel))
        copy, package = f"COPY {wheel.name} /opt/algorithm/\n", f"/opt/algorithm/{wheel.name}"
    name = model.card.name
    title = f"metaphase {__version__}: {_plain(name)}"
    variable = "" if mpp is None else f" METAPHASE_MPP={mpp:g}"
    text = _DOCKERFILE.format(title=title, wheel=copy, package=package, mpp=variable)
    tag = "metaphase-" + _plain(name).lower().replace(" ", "-")
    readme = _README.format(title=title, version=__version__, model=name, tag=tag)
    write_text(folder / "README.md", readme)
    write_text(folder / ".dockerignore", _IGNORE)
    write_text(folder / "Dockerfile", text)


def _plain(name: str) -> str:
    """Return a name fit for one line of a Dockerfile and for a tag."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "-" for c in name)
