"""Stain vectors: the optical density of one unit of a stain in red, green and blue."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import Float32Array

RUIFROK: Float32Array = np.array(
    [[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], dtype=np.float32
)
"""Haematoxylin, eosin and DAB [3, RGB] of Ruifrok and Johnston (2001, Anal. Quant. Cytol. Histol.
23). In H&E images the third stands for whatever is neither haematoxylin nor eosin."""
