from __future__ import annotations

from metaphase.viewer.columns import Source
from metaphase.viewer.reference import LABELS, SECOND, Reference


def test_a_reference_has_a_key_for_requests():
    assert Reference(Source.LABEL, "labels", "toy").key == LABELS == "labels"
    assert Reference(Source.SECOND, "other", "toy", 0.4).key == SECOND == "second"
