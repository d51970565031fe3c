"""Colours of another domain's image: low frequencies of the Fourier amplitude.

Yang and Soatto 2020, "FDA: Fourier domain adaptation for semantic segmentation", CVPR; the mixture
as in Xu et al. 2021, "A Fourier-based framework for domain generalization", CVPR.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import Pixels, to_uint8
from metaphase.matmul import matmul


def mix_amplitudes(image: Pixels, partner: Pixels, *, beta: float, amount: float = 1.0) -> Pixels:
    """Return an image [h, w, 3] with its amplitudes at low frequencies mixed with a partner's.

    Phases, which hold the places of objects, are kept. ``beta`` is half the side of the square of
    frequencies, as a share of the image's side (0.01 to 0.09 in Yang and Soatto 2020); ``amount``
    is the partner's share of the mixture (1 in Yang and Soatto; random in Xu et al. 2021).
    """
    if image.shape != partner.shape:
        raise ValueError(f"images of one shape can be mixed, not {image.shape} and {partner.shape}")
    height, width = image.shape[:2]
    rows, columns = _waves(height, int(beta * height)), _waves(width, int(beta * width))
    columns = columns[int(beta * width) :]  # the others are conjugates, because images are real
    # Only these frequencies are transformed: a hundredth of the work of a full transform.
    spectrum, other = (_low(picture, rows, columns) for picture in (image, partner))
    amplitude = np.abs(spectrum)
    target = (1 - amount) * amplitude + amount * np.abs(other)
    change = spectrum * (target / np.maximum(amplitude, 1e-6) - 1) / (height * width)
    change[:, :, 1:] *= 2
    added = np.real(matmul(matmul(rows.conj().T, change), columns.conj()))
    return to_uint8(image + np.ascontiguousarray(np.moveaxis(added, 0, -1)))


def _waves(length: int, highest: int) -> NDArray[np.complex64]:
    """Return the rows [2 highest + 1, length] of a Fourier transform from -highest to highest."""
    frequencies = np.arange(-highest, highest + 1)[:, None] * np.arange(length) / length
    return np.asarray(np.exp(-2j * np.pi * frequencies), dtype=np.complex64)


def _low(
    image: Pixels, rows: NDArray[np.complex64], columns: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    planes = np.moveaxis(image, -1, 0).astype(np.float32)
    return np.asarray(matmul(rows, matmul(planes, columns.T)))
