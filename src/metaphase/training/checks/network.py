"""Checks of the network: anchors, head, weights, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.errors import ModelFileError
from metaphase.models.modelfile import names_model
from metaphase.training.checks.finding import Finding, Level, Patient
from metaphase.training.fit.precision import precision_of
from metaphase.training.recipe.anchors import FIRST_STRIDE, coverage, from_labels
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import CompactNetwork, RetinaNetwork

_MISSED, _SOME = 0.5, 0.9
_RESIZED_PX = 800
_STRIDES = 2
_ADAM_BYTES = 16  # a weight, its gradient and two moments, 4 bytes each


def anchors(patient: Patient) -> Iterator[Finding]:
    """Whether anchors fit the figures' size, wherever the figures lie."""
    network = patient.recipe.network
    if not len(patient.sizes):
        return
    side = float(np.median(np.sqrt(patient.sizes.prod(axis=1))))
    if isinstance(network, CompactNetwork):
        yield _against_stride(side)
        if network.head == "anchors":
            part = coverage(patient.sizes, ((network.anchor_um / network.mpp,),))
            way_out = f"anchor_um = {side * network.mpp:.1f}"
            yield _fit(part, side, "network.anchor_um", way_out)
        return
    patch_px = patient.recipe.sampling.patch_px
    scale = _RESIZED_PX / patch_px if network.resize == "torchvision" else 1.0
    if scale != 1:
        yield Finding(
            Level.TRAP,
            "network.resize",
            "torchvision resizes every patch by default: figures change their size",
            f"{patch_px} px become {_RESIZED_PX}, a figure of {side:.0f} px {side * scale:.0f} px",
            "resize = 'none'",
        )
    sides = from_labels(patient.sizes) if network.anchors == "from-labels" else network.anchors
    part = coverage(patient.sizes, sides, network.aspect_ratios, scale=scale)
    yield _fit(part, side * scale, "network.anchors", "anchors = 'from-labels'")


def _fit(part: float, side: float, key: str, way_out: str) -> Finding:
    """Return a finding on the part of the figures, of ``side`` px, that anchors fit."""
    measured = f"{part:.0%} of places have an anchor with IoU >= 0.5"
    if part >= _SOME:
        return Finding(Level.OK, key, "anchors fit the figures", measured)
    level = Level.TRAP if part < _MISSED else Level.NOTE
    return Finding(level, key, f"anchors miss figures of {side:.0f} px", measured, way_out)


def _against_stride(side: float) -> Finding:
    measured = f"{side:.0f} px against stride {FIRST_STRIDE}"
    if side < _STRIDES * FIRST_STRIDE:
        message = "figures are small against the stride: neighbours fall together"
        return Finding(Level.TRAP, "network.mpp", message, measured, "choose a finer network.mpp")
    return Finding(Level.OK, "network", "figures are large enough for the stride", measured)


def head(patient: Patient) -> Iterator[Finding]:
    """Whether the head is the network's own, and patches fit its strides."""
    recipe = patient.recipe
    network = recipe.network
    if isinstance(network, RetinaNetwork) and network.head == "plain":
        yield Finding(
            Level.TRAP,
            "network.head",
            "a plain head over v2's: GroupNorm and the GIoU loss are silently lost",
            "0 of 8 GroupNorm layers",
            "head = 'v2'",
        )
    multiple = _multiple(recipe)
    if recipe.sampling.patch_px % multiple:
        yield Finding(
            Level.ERROR,
            "sampling.patch_px",
            f"is not a multiple of {multiple}, as the network needs",
            f"{recipe.sampling.patch_px} px",
            f"patch_px = {max(1, round(recipe.sampling.patch_px / multiple)) * multiple}",
        )


def _multiple(recipe: Recipe) -> int:
    """Return what a patch's side must be a multiple of: the coarsest stride."""
    return 128 if isinstance(recipe.network, RetinaNetwork) else 32


def weights(patient: Patient) -> Iterator[Finding]:
    """Whether the initial weights exist."""
    name = patient.recipe.network.weights
    if name == "none":
        message, way_out = "training starts from random weights", "weights = 'coco' or 'imagenet'"
        yield Finding(Level.NOTE, "network.weights", message, "", way_out)
    elif names_model(name):
        yield from _fits(patient.recipe, name)
    elif name not in ("coco", "imagenet") and not Path(name).is_file():
        yield Finding(Level.ERROR, "network.weights", f"{name} is missing")


def _fits(recipe: Recipe, name: str) -> Iterator[Finding]:
    """Whether a model to fine-tune has the network of the recipe."""
    try:
        from metaphase.training.startnetwork import starting_network
    except ImportError:
        yield Finding(Level.NOTE, "network.weights", "not checked: PyTorch is not installed")
        return
    try:
        starting_network(recipe.network.kind, recipe.network_options(), recipe.classes)
    except ModelFileError as error:
        for problem in error.problems:
            message = f"{problem.file} {problem.message}"
            yield Finding(Level.ERROR, "network.weights", message, "", problem.way_out)
    else:
        yield Finding(Level.OK, "network.weights", f"training starts from the model {name}")


def memory(patient: Patient) -> Iterator[Finding]:
    """Whether a batch fits into the device's memory."""
    if patient.recipe.sampling.patch_px % _multiple(patient.recipe):
        return  # reported by ``head``; the network cannot be run
    try:
        need = memory_needed(patient.recipe)
    except ImportError:
        message = "not estimated: PyTorch is not installed"
        yield Finding(Level.NOTE, "trainer.batch_size", message)
        return
    have, device = memory_available(patient.recipe)
    batch = patient.recipe.trainer.batch_size
    measured = f"about {need / 1e9:.1f} GB of {have / 1e9:.1f} GB on this {device}"
    if need > have:
        fits = max(1, int(batch * have / need))
        times = -(-batch // fits)
        way_out = f"batch_size = {-(-batch // times)} with accumulate = {times}"
        if device == "computer":
            way_out += ", or a GPU"
        message = f"a batch of {batch} patches does not fit"
        yield Finding(Level.ERROR, "trainer.batch_size", message, measured, way_out)
    else:
        message = f"a batch of {batch} patches fits"
        yield Finding(Level.OK, "trainer.batch_size", message, measured)


def memory_needed(recipe: Recipe) -> float:
    """Return the bytes of a training step: what backward keeps, weights and optimiser's state.

    Counted, not guessed: the network runs two patches on PyTorch's meta device, which has shapes
    but no values, and the tensors that are kept for backward are added up.
    """
    import torch

    from metaphase.models.networks import build_network

    network: Any = build_network(
        recipe.network.kind, recipe.network_options(), recipe.classes, pretrained=False
    )
    own = sum(p.numel() for p in network.parameters())
    network = network.to("meta").train()
    weights = {p.untyped_storage()._cdata for p in network.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage  # held, so that no other storage takes its address
        return tensor

    side = recipe.sampling.patch_px
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.zeros(2, side, side, 3, dtype=torch.uint8, device="meta"))
    activations = sum(storage.nbytes() for storage in kept.values()) / 2
    if precision_of(recipe.trainer) != "fp32":
        activations /= 2
    return float(activations * recipe.trainer.batch_size + own * _ADAM_BYTES)


def memory_available(recipe: Recipe) -> tuple[float, str]:
    """Return the bytes that training may take, and of what."""
    import torch

    if recipe.trainer.accelerator != "cpu" and torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory) * 0.95, "GPU"
    return computer_memory(), "computer"


def computer_memory() -> float:
    """Return the memory that is free here, or what the container leaves, in bytes."""
    limits = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for path in ("/proc/meminfo",):
        lines = Path(path).read_text().splitlines() if Path(path).is_file() else []
        limits += [float(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")]
    most = Path("/sys/fs/cgroup/memory.max")
    used = Path("/sys/fs/cgroup/memory.current")
    if most.is_file() and used.is_file() and (text := most.read_text().strip()) != "max":
        limits.append(float(text) - float(used.read_text()))
    return max(min(limits), 0.0)
