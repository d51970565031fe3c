"""The section `[network]`: its two kinds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from metaphase.models.options import CompactOptions, RetinaNetOptions, Side
from metaphase.training.recipe.sections.base import Section, path_unless, repeated

Anchors = Annotated[tuple[tuple[Side, ...], ...], Field(min_length=1, max_length=5)]
_SECOND_CLASS = "Learn hard negatives as a second class instead of as background."


class CompactNetwork(CompactOptions):
    """EfficientNet-Lite features, a light feature pyramid, one map of scores at stride 8."""

    model_config = Section.model_config

    kind: Literal["compact"] = Field(description="The network.")
    weights: Annotated[str, path_unless("imagenet", "none")] = repeated(CompactOptions, "weights")
    hard_negative_class: bool = Field(default=False, description=_SECOND_CLASS)

    def options(self) -> dict[str, Any]:
        """Return what ``build_network`` takes as options."""
        return self.model_dump(include=set(CompactOptions.model_fields), mode="json")


class RetinaNetwork(RetinaNetOptions):
    """torchvision's RetinaNet with ResNet-50, feature pyramid and v2 head."""

    model_config = Section.model_config

    kind: Literal["retinanet_resnet50_fpn_v2"] = Field(description="The network.")
    weights: Annotated[str, path_unless("coco", "none")] = repeated(RetinaNetOptions, "weights")
    anchors: Anchors | Literal["from-labels"] = Field(  # type: ignore[assignment]  # one more value
        default="from-labels",
        description="Anchor sides in px, one list a level, from stride 8 on; or measured on the "
        "labels of the training cases.",
    )
    hard_negative_class: bool = Field(default=False, description=_SECOND_CLASS)

    def options(self, anchors: Anchors | None = None) -> dict[str, Any]:
        """Return what ``build_network`` takes as options; ``anchors`` are those measured."""
        options = self.model_dump(include=set(RetinaNetOptions.model_fields), mode="json")
        if self.anchors == "from-labels":
            if anchors is None:
                raise ValueError("anchors 'from-labels' must be measured first")
            options["anchors"] = anchors
        return options


NetworkChoice = Annotated[CompactNetwork | RetinaNetwork, Field(discriminator="kind")]
