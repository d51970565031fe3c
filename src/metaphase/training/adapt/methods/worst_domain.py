"""Balance: the domain that does worst counts most (group DRO, Sagawa et al. 2020, ICLR).

Each step's loss is computed for every domain separately, and a domain's weight grows exponentially
with its loss. Together with ``trainer.worst_of``, which keeps the weights of the epoch in which the
worst domain did best. With ``step_size = 0`` the weights stay at their initial values.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from metaphase.errors import RecipeError
from metaphase.training.adapt.base import Method, Setting, Step, domain_codes
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import register


class BalanceOptions(AdaptOptions):
    """Loss weights by domain that follow the worst one (group DRO, Sagawa et al. 2020)."""

    step_size: float = Field(
        default=0.02, ge=0, le=10, description="How fast weights follow losses; 0: they stay."
    )
    largest: float = Field(
        default=4.0,
        gt=1,
        le=1000,
        description="A domain's weight is at most this times the mean weight.",
    )
    weights: dict[str, float] = Field(
        default={}, description="Weights that domains begin with, by name; 1 for the others."
    )


@register
class WorstDomain(Method):
    """Weighs the losses of the labelled domains."""

    name = "worst-domain"
    Options = BalanceOptions

    def __init__(self, options: BalanceOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        unknown = sorted(set(options.weights) - set(setting.domains))
        if unknown or any(weight <= 0 for weight in options.weights.values()):
            raise RecipeError.of(
                "recipe",
                f"{', '.join(unknown) or 'a weight'} is no domain with a positive weight",
                record="adapt.weights",
                way_out=f"domains are {', '.join(setting.domains)}",
            )
        # The last weight is that of patches composed of several domains.
        start = [options.weights.get(name, 1.0) for name in (*setting.domains, "")]
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(start))

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return the parts of the loss, the domains weighed."""
        codes = torch.tensor(domain_codes(step.targets))
        present = torch.unique(codes).tolist()
        if not present:
            return step.losses
        weights = self.weights[present]
        weights = weights / weights.sum()
        total: dict[str, Tensor] = {}
        for code, weight in zip(present, weights, strict=True):
            index = torch.nonzero(codes == code)[:, 0]
            maps = tuple(m[index.to(m.device)] for m in step.maps)
            targets = [step.targets[i] for i in index.tolist()]
            parts = step.network.loss(maps, targets)
            for name, part in parts.items():
                total[name] = total.get(name, 0) + weight * part
            self._follow(code, float(sum(p.detach() for p in parts.values())))
        return {**step.losses, **total}

    def _follow(self, code: int, loss: float) -> None:
        if self.options.step_size == 0:
            return
        # A single bad batch must not decide: what a loss can do in a step is limited.
        self.weights[code] *= torch.exp(torch.tensor(self.options.step_size * min(loss, 10.0)))
        self.weights /= self.weights.mean()
        self.weights.clamp_(1 / self.options.largest**2, self.options.largest)
