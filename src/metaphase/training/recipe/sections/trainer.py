"""The section `[trainer]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metaphase.training.recipe.sections.base import Section


class Trainer(Section):
    """The run: its length, the hardware, what is kept."""

    epochs: int = Field(default=20, gt=0, le=1_000_000, description="Epochs.")
    batch_size: int = Field(
        default=16, gt=0, le=65_536, description="Patches of a step on each device."
    )
    accumulate: int = Field(
        default=1, gt=0, le=65_536, description="Batches whose gradients are added up."
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto",
        description="Numeric precision. `auto`: bf16 (mixed) where the GPU or the CPU has "
        "bfloat16 instructions, else fp32; `metaphase doctor` says which. `fp16` needs a GPU.",
    )
    gradient_clip: float = Field(
        default=1.0, ge=0, le=1e6, description="Largest norm of the gradient; 0: no limit."
    )
    workers: int = Field(
        default=2, ge=0, le=1024, description="Processes that read patches, for each device."
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="The hardware to train on."
    )
    devices: Annotated[int, Field(gt=0, le=4096)] | Literal["auto"] = Field(
        default="auto", description="Devices of each machine."
    )
    nodes: int = Field(default=1, gt=0, le=4096, description="Machines.")
    validate_every: int = Field(
        default=1, gt=0, le=1_000_000, description="Epochs between validations."
    )
    early_stopping: int | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="Validations without a better F1 after which the run stops.",
    )
    worst_of: Literal["scanner", "tumour", "species", "laboratory", "group"] | None = Field(
        default=None,
        description="The best checkpoint and early stopping depend on the F1 of the worst of these "
        "domains; by default on the F1 of all cases.",
    )
    ema: float = Field(
        default=0.0, ge=0, lt=1, description="Decay of the average of the weights; 0: no average."
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="Whose weights become the model file; both stay as checkpoints."
    )
    cache_mb: int = Field(
        default=2048,
        ge=0,
        le=100_000_000,
        description="Decoded pixels of small images kept on disk for all workers, MB.",
    )
