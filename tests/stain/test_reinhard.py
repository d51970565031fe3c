from __future__ import annotations

import pytest

from metaphase.stain.reinhard import Reinhard
from tests.stain.images import OTHER, mean_difference, tissue


def test_normalisation_of_all_pixels_is_that_of_torchstain() -> None:
    torchstain = pytest.importorskip("torchstain")
    theirs = torchstain.normalizers.ReinhardNormalizer(backend="numpy")
    target, source = tissue(1, OTHER, 1.2), tissue(2)
    theirs.fit(target)
    reference = Reinhard.estimate(target, all_pixels=True)
    assert reference is not None
    result = reference(source).image
    assert mean_difference(result, theirs.normalize(source)) < 1.0
    assert mean_difference(result, source) > 5
