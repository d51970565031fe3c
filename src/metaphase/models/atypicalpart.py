"""The network for atypical figures of one model file, given to another."""

from __future__ import annotations

import shutil
from pathlib import Path

from metaphase.errors import ModelFileError
from metaphase.files import real_path
from metaphase.models.modelfile import Model, copy_model, load_model, save_atypical


def add_atypical(model: Model, source: Model, out: str | Path) -> Model:
    """Write a copy of ``model`` with the network for atypical figures of ``source``; return it.

    A network that the model has already is replaced. ``out`` may be the folder of the model itself.
    Raises ModelFileError where the source has no such network.
    """
    network, section = source.atypical, source.card.atypical
    if network is None or section is None:
        raise ModelFileError.of(
            source.folder,
            "has no network for atypical figures",
            way_out="name a model that 'metaphase train' wrote from a recipe with [atypical]",
        )
    out = Path(out)
    if real_path(out) != real_path(model.folder):
        shutil.rmtree(out / network.folder.name, ignore_errors=True)
        model = copy_model(model, out)
    return load_model(save_atypical(model, network, section).folder)
