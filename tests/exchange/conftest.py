"""Detections of any kind."""

from __future__ import annotations

from hypothesis import strategies as st

from metaphase.figures import Detections
from metaphase.provenance import Provenance

MPP = st.sampled_from([0.25, 0.2268, 0.5, 0.2456])
POSITION = st.floats(-5, 120_000, allow_nan=False)
ROW = st.tuples(POSITION, POSITION, st.floats(0, 1), st.integers(0, 1))


@st.composite
def detections(draw, image="slide.tiff", labels=(0, 1), min_size=0):
    """Detections at the precision of files, as ``metaphase detect`` leaves them."""
    rows = draw(st.lists(ROW, min_size=min_size, max_size=12))
    x, y, score, label = zip(*rows, strict=True) if rows else ((), (), (), ())
    made = Provenance(
        image=image,
        width_px=130_000,
        height_px=130_000,
        mpp=draw(MPP),
        model="compact",
        threshold=round(draw(st.floats(0, 1)), 6),
    )
    codes = [labels[code % len(labels)] for code in label]
    return Detections(x, y, score, codes, provenance=made).rounded()
