"""The record of a run: its recipe, split and environment; and whose run a folder holds."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from metaphase.errors import RecipeError
from metaphase.files import write_json, write_text
from metaphase.labels.split import Split
from metaphase.training.fit.precision import choose_precision, precision_of
from metaphase.training.recipe.recipe import Recipe, load_run_recipe, resolved
from metaphase.training.runfolder import RunFolder

_LIBRARIES = ("torch", "torchvision", "timm", "pytorch-lightning", "numpy", "onnx")


def claim(folder: RunFolder, recipe: Recipe) -> None:
    """Make sure that a folder holds no run, or one of this recipe.

    The remains of a run of another recipe that ended before its first checkpoint are removed: there
    is nothing to resume. Raises RecipeError for any other run of another recipe.
    """
    if not folder.recipe.is_file() or _is_run_of(folder, recipe):
        return
    if folder.has_progress:
        raise RecipeError.of(
            folder.path,
            "holds a run of another recipe",
            way_out="choose another --out, or remove the folder",
        )
    if is_main_process():
        folder.clear()


def _is_run_of(folder: RunFolder, recipe: Recipe) -> bool:
    """Whether a run's recipe is this one; fields that a later version added have their default."""
    try:
        kept = load_run_recipe(folder.recipe)
    except RecipeError:
        return False
    if precision_of(kept.trainer) == precision_of(recipe.trainer):
        # "auto" and the precision that it stands for on this computer are the same.
        same = {"precision": recipe.trainer.precision}
        kept = kept.model_copy(update={"trainer": kept.trainer.model_copy(update=same)})
    return kept == recipe


def write_record(folder: RunFolder, recipe: Recipe, split: Split) -> None:
    """Write recipe, split and environment of a run."""
    write_text(folder.recipe, resolved(recipe))
    write_json(folder.split, split.model_dump(mode="json"))
    write_json(folder.environment, _environment(recipe))


def is_main_process() -> bool:
    """Whether this process is the only one of a run, or the first of several.

    The others are started by Lightning, torchrun or Slurm, which number them.
    """
    names = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
    return next((os.environ[name] for name in names if name in os.environ), "0") == "0"


def versions() -> dict[str, str]:
    """Return the versions that a run depends on."""
    own = {"python": platform.python_version(), "metaphase": version_of("metaphase")}
    return own | {name: version_of(name) for name in _LIBRARIES}


def version_of(package: str) -> str:
    """Return the version of an installed package, or "absent"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _environment(recipe: Recipe) -> dict[str, Any]:
    return {
        "command": [os.path.basename(sys.argv[0]), *sys.argv[1:]],
        "versions": versions(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "precision": asdict(choose_precision(recipe.trainer)),
    }
