"""PyTorch, on the CPU or a GPU (extra ``train``)."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detection.runtimebase import CPU_BATCH, GPU_BATCH, Maps, Runtime
from metaphase.errors import MetaphaseError, MissingExtraError
from metaphase.models.modelfile import Model, load_network


class TorchRuntime(Runtime):
    """Runs the network of a model with PyTorch. bfloat16 on the CPU only on request."""

    def __init__(
        self, model: Model, cores: int, precision: str = "fp32", *, device: str = "cpu"
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("train", "running a model with PyTorch") from error
        if device == "cuda" and not torch.cuda.is_available():
            raise MetaphaseError("PyTorch finds no GPU: use --device auto")
        if device == "cpu":
            torch.set_num_threads(cores)
        self.batch = CPU_BATCH if device == "cpu" else GPU_BATCH
        self.precision = "bf16" if precision == "bf16" else "fp32"
        self._torch = torch
        self._device = device
        self._network = load_network(model).to(device).to(memory_format=torch.channels_last)
        suffix = " bf16" if self.precision == "bf16" else ""
        self.name = f"torch {torch.__version__} {device}{suffix}"

    def run(self, tiles: Pixels) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        torch = self._torch
        with (
            torch.inference_mode(),
            torch.autocast(self._device, dtype=torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            maps = self._network(torch.from_numpy(tiles).to(self._device))
            return [np.asarray(m.float().cpu().numpy(), dtype=np.float32) for m in maps]
