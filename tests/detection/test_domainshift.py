from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detection.domainshift import (
    TrainingImage,
    distances_to,
    domain_shift,
    domain_statistics,
)
from metaphase.detection.imagestatistics import (
    COMPONENTS,
)
from metaphase.models.card import DomainStatistics, TrainingDomain
from metaphase.provenance import ComponentShift, LeftOutScores, Parameters, Provenance
from tests.detection.scenes import DotRuntime, DotSlide, make_model

NAMES = [name for names in COMPONENTS.values() for name in names]


def numbers(rng: np.random.Generator, middle: float = 0.0) -> dict[str, float]:
    return {name: float(rng.normal(middle, 0.2)) for name in NAMES}


def training(seed: int = 0, images: int = 20) -> list[TrainingImage]:
    rng = np.random.default_rng(seed)
    return [
        TrainingImage(scanner, f"slide {i // 2}", numbers(rng, middle))
        for scanner, middle in (("A", 0.0), ("B", 3.0))
        for i in range(images)
    ]


def statistics(**changes: object) -> DomainStatistics:
    found = domain_statistics(training())
    assert found is not None
    return found


def test_training_images_are_familiar_and_others_are_not() -> None:
    known = statistics()
    rng = np.random.default_rng(1)
    alike = [domain_shift(numbers(rng), known) for _ in range(100)]
    alike += [domain_shift(numbers(rng, 3.0), known) for _ in range(100)]
    # 1 in 40 is farther than the farthest of 40 in each of three components, by the limit's meaning
    assert np.mean([shift.shifted for shift in alike]) < 0.15
    assert {shift.nearest for shift in alike[:100]} == {"A"}
    between = [domain_shift(numbers(rng, 1.5), known) for _ in range(20)]
    assert all(shift.shifted and shift.ratio > 2 for shift in between)


def test_the_component_that_differs_is_told() -> None:
    odd = numbers(np.random.default_rng(2))
    odd |= dict.fromkeys(COMPONENTS["sharpness"], 9.0)
    shift = domain_shift(odd, statistics())
    assert shift.component == "sharpness"
    assert shift.components["stain"].ratio < 1 < shift.components["sharpness"].ratio
    assert shift.training_images == 40


def test_the_limit_is_that_of_left_out_slides() -> None:
    """A new slide is as far as slides are from each other, not as images of one slide are."""
    rng = np.random.default_rng(3)
    images = []
    for slide in range(4):
        own = {name: float(rng.normal(0, 1)) for name in NAMES}
        images += [
            TrainingImage(
                "A", f"s{slide}", {n: v + float(rng.normal(0, 0.05)) for n, v in own.items()}
            )
            for _ in range(7)
        ]
    found = domain_statistics(images)
    assert found is not None
    mean = found.domains[0].mean
    within = distances_to(mean, found.domains, found.spread)
    assert all(distance < 0.1 for distance, _ in within.values())
    assert all(found.limit[c] > 1 for c in COMPONENTS)


def test_crops_add_a_domain_without_widening_the_limit() -> None:
    crops = [
        TrainingImage(
            "C", f"c{i}", {n: 40.0 + i for n in NAMES if not n.startswith("score")}, False
        )
        for i in range(5)
    ]
    plain, more = domain_statistics(training()), domain_statistics([*training(), *crops])
    assert plain is not None
    assert more is not None
    assert more.limit == plain.limit
    assert [d.name for d in more.domains] == ["A", "B", "C"]
    like_c = {n: 42.0 if not n.startswith("score") else 0.0 for n in NAMES}
    assert domain_shift(like_c, more).components["stain"] == ComponentShift(ratio=0.0, nearest="C")


def test_too_few_images_tell_nothing() -> None:
    assert domain_statistics(training()[:2]) is None
    assert domain_statistics([]) is None


def test_the_warning_has_the_ratio_and_the_nearest_domain() -> None:
    shift = domain_shift(dict.fromkeys(NAMES, 1.5), statistics())
    made = Provenance("x.svs", 1, 1, 0.25, parameters=Parameters(domain_shift=shift))
    (text,) = made.warnings
    assert f"{shift.ratio:.1f} times the limit" in text
    assert f"nearest: {shift.nearest})" in text
    near = shift.model_copy(update={"shifted": False})
    assert Provenance("x", 1, 1, 1, parameters=Parameters(domain_shift=near)).warnings == ()
    assert Provenance("x", 1, 1, 1).warnings == ()


def test_the_warning_says_what_such_a_shift_meant_on_left_out_slides() -> None:
    shifted = LeftOutScores(slides=3, figures=90, precision=0.314, recall=0.8)
    others = LeftOutScores(slides=7, figures=200, precision=0.75, recall=0.7)
    far = dict.fromkeys(NAMES, 9.0)
    known = statistics()
    plain = domain_shift(far, known)
    assert plain is not None
    assert plain.warning is not None
    assert "recall" not in plain.warning
    assert "scores_shifted" not in plain.to_json()
    measured = known.model_copy(update={"scores_shifted": shifted, "scores_others": others})
    shift = domain_shift(far, measured)
    assert shift is not None
    assert shift.warning is not None
    assert (
        "On 3 other slides with this warning, 31% of the detections were right and 80% of the "
        "mitotic figures were found. On 7 without it: 75% and 70%. Check"
    ) in shift.warning
    read = Provenance("a", 9, 9, 0.25, parameters=Parameters(domain_shift=shift)).to_json()
    assert Provenance.from_json(read).parameters.domain_shift == shift
    assert DomainStatistics.model_validate(measured.model_dump(mode="json")) == measured
    near = domain_shift(dict.fromkeys(NAMES, 0.0), measured)
    assert near is not None
    assert near.warning is None


def test_tiles_that_were_measured_on_the_way_are_not_run_again(tmp_path) -> None:
    """The same shift, to the bit, with any batch and after an interruption."""
    rng = np.random.default_rng(0)
    slide = DotSlide(1000, 900, 0.25, rng.uniform(20, 880, (400, 2)))
    known = DomainStatistics(
        by="scanner",
        domains=(TrainingDomain(name="A", images=3, mean=dict.fromkeys(NAMES, 0.0)),),
        spread=dict.fromkeys(NAMES, 1.0),
        limit=dict.fromkeys(COMPONENTS, 1.0),
        images=3,
    )
    model = make_model(domains=known)
    shifts, tiles = [], []
    for batch in (1, 4):
        runtime = DotRuntime(model.card.head)
        made = detect(slide, model, runtime=runtime, batch=batch).provenance
        shifts.append(made.parameters.domain_shift)
        tiles.append(runtime.tiles - made.parameters.tiles)
    assert shifts[0] == shifts[1]
    assert shifts[0] is not None
    assert (tiles[0], 4 <= tiles[1] <= 12) == (0, True)

    class Interrupted(DotRuntime):
        def run(self, pixels):
            if self.tiles >= 150:
                raise KeyboardInterrupt
            return super().run(pixels)

    options = {"batch": 1, "checkpoint": tmp_path / "c"}
    with pytest.raises(KeyboardInterrupt):
        detect(slide, model, runtime=Interrupted(model.card.head), **options)
    again = detect(slide, model, runtime=DotRuntime(model.card.head), **options)
    assert again.provenance.parameters.domain_shift == shifts[0]
