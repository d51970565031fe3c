from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from metaphase.stain.jitter import VECTOR_METHODS
from metaphase.training.recipe.problems import sections_in
from metaphase.training.recipe.sections import Augment, Fourier, Jpeg, Stain, StainTransfer

STEPS = {
    name: section
    for name, field in Augment.model_fields.items()
    for section in sections_in(field.annotation)
}


def test_there_are_steps() -> None:
    assert {"stain", "stain_transfer", "fourier", "camera", "tone", "blur", "noise", "jpeg"} <= set(
        STEPS
    )


@pytest.mark.parametrize("name", STEPS)
def test_a_step_says_how_often_it_is_applied(name: str) -> None:
    section: type[BaseModel] = STEPS[name]
    needed = {
        field: Path("/filters.npz")
        for field, info in section.model_fields.items()
        if info.is_required()
    }
    assert 0 < section(**needed).probability < 1  # type: ignore[attr-defined]
    for probability in (0.0, 1.0):
        assert section(**needed, probability=probability)
    for probability in (-0.01, 1.01):
        with pytest.raises(ValidationError, match="probability"):
            section(**needed, probability=probability)


def test_what_needs_other_images_is_off_by_default() -> None:
    """Patches of other domains cost time to read; the rest varies the patch itself."""
    default = Augment()
    assert default.stain_transfer is None
    assert default.fourier is None
    assert default.stain.multiply > 0
    assert default.strength == 1.0
    assert default.symmetries


@pytest.mark.parametrize("quality", [(90, 40), (0, 50), (50, 101), (-5, 5)])
def test_the_quality_of_jpeg_rises_from_1_to_100(quality: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="1 <= lowest <= highest <= 100"):
        Jpeg(quality=quality)
    assert Jpeg(quality=(70, 70)).quality == (70, 70)


def test_every_method_of_stain_vectors_is_one_that_exists() -> None:
    for method in VECTOR_METHODS:
        assert Stain(vectors=method).vectors == method  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Stain(vectors="vahadane")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (Stain, {"multiply": 1.0}),  # a stain that is multiplied by 0 is no stain
        (Stain, {"shift": -0.1}),
        (StainTransfer, {"method": "vahadane"}),
        (Fourier, {"beta": 0.5}),  # the whole spectrum: the other image
        (Fourier, {"amount": 1.5}),
        (Augment, {"mpp_jitter": 0.5}),
        (Augment, {"strength": 2.5}),
    ],
)
def test_changes_that_leave_no_image_are_refused(
    section: type[BaseModel], values: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        section(**values)
