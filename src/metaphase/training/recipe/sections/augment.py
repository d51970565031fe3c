"""The section `[augment]` and one section for each step of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from metaphase.training.recipe.sections.base import RecipePath, Section, step_probability


class Stain(Section):
    """Stain jitter in optical density (Tellez et al. 2018)."""

    multiply: float = Field(
        default=0.25, ge=0, lt=1, description="Each stain is multiplied by 1 ± this."
    )
    shift: float = Field(
        default=0.03, ge=0, le=1, description="And shifted by ± this, in optical density."
    )
    vectors: Literal["ruifrok", "macenko", "slide"] = Field(
        default="ruifrok",
        description="Stain vectors: `ruifrok` (fixed), `macenko` (estimated for each patch) or "
        "`slide` (estimated once a slide; patches composed of several are estimated one by one).",
    )
    probability: float = step_probability(0.9)


class StainTransfer(Section):
    """Stain of a patch of another domain (case, scanner or laboratory), labelled or not. Patches
    with too little stain, or with one stain only, keep theirs."""

    method: Literal["macenko", "reinhard"] = Field(
        default="macenko",
        description="`macenko`: stains and their amounts (Macenko et al. 2009). `reinhard`: mean "
        "and spread in L*a*b* (Reinhard et al. 2001).",
    )
    probability: float = step_probability(0.3)


class Fourier(Section):
    """Amplitudes of low frequencies mixed with those of a patch of another domain, labelled or not
    (Yang and Soatto 2020; Xu et al. 2021)."""

    beta: float = Field(
        default=0.02,
        gt=0,
        lt=0.5,
        description="Half side of the square of frequencies, in parts of the patch's side.",
    )
    amount: float = Field(
        default=1.0, ge=0, le=1, description="The other patch's part in the mixture is 0 to this."
    )
    probability: float = step_probability(0.3)


class Camera(Section):
    """The colour matrix of a camera: channels are mixed, grey stays grey."""

    matrix: float = Field(
        default=0.1, ge=0, lt=0.3, description="Entries of the matrix differ by ± this."
    )
    probability: float = step_probability(0.5)


class Tone(Section):
    """Brightness, contrast and gamma, as of a lamp and a camera."""

    brightness: float = Field(default=0.08, ge=0, lt=1, description="± this part of full white.")
    contrast: float = Field(
        default=0.15, ge=0, lt=1, description="Multiplied by 1 ± this around grey."
    )
    gamma: float = Field(default=0.15, ge=0, lt=1, description="Exponent 1 ± this.")
    probability: float = step_probability(0.6)


class Colour(Section):
    """Hue and saturation, as of a colour profile."""

    hue_deg: float = Field(default=8.0, ge=0, le=180, description="Rotated by ± this, degrees.")
    saturation: float = Field(default=0.2, ge=0, le=1, description="Multiplied by 1 ± this.")
    probability: float = step_probability(0.5)


class Blur(Section):
    """Defocus."""

    sigma_px: float = Field(default=1.2, ge=0, le=20, description="Gaussian of 0 to this, px.")
    probability: float = step_probability(0.25)


class Sharpen(Section):
    """The sharpening inside a scanner."""

    amount: float = Field(default=0.8, ge=0, le=10, description="Unsharp mask of 0 to this.")
    probability: float = step_probability(0.15)


class Noise(Section):
    """Noise of the camera."""

    sigma: float = Field(
        default=5.0, ge=0, le=255, description="Gaussian of 0 to this, grey levels of 255."
    )
    probability: float = step_probability(0.2)


class Jpeg(Section):
    """Repeated compression, so that its traces are no sign of a figure."""

    quality: tuple[int, int] = Field(
        default=(40, 95), description="Lowest and highest quality, 1 to 100."
    )
    probability: float = step_probability(0.5)

    @model_validator(mode="after")
    def _ordered(self) -> Jpeg:
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise ValueError("quality is two numbers, 1 <= lowest <= highest <= 100")
        return self


class Scanner(Section):
    """Translation to a second scanner by filters learnt from registered pairs.

    It is applied to the windows of the second stage. Each window gets another filter, and a part
    of its effect.
    """

    filters: RecipePath = Field(description="File of filters (`studies.scanner_filters`).")
    scanners: tuple[str, ...] = Field(
        default=(),
        description="Scanners whose images are translated; empty: those of all.",
    )
    without: tuple[str, ...] = Field(
        default=(), description="Slides whose filters are not used, such as those left out."
    )
    amount: float = Field(
        default=1.15,
        ge=0,
        le=2,
        description="The effect is 0 to this part of the difference between the scanners.",
    )
    probability: float = step_probability(0.6)


class Augment(Section):
    """How patches are augmented. `strength = 0` leaves the symmetries and the mpp jitter only."""

    symmetries: bool = Field(
        default=True, description="The eight rotations and mirror images of a square."
    )
    mpp_jitter: float = Field(
        default=0.1, ge=0, lt=0.5, description="Resolution multiplied by exp(± this)."
    )
    strength: float = Field(
        default=1.0, ge=0, le=2, description="Multiplies the ranges of everything below."
    )
    stain_transfer: StainTransfer | None = Field(
        default=None, description="Stain of another domain's patch; absent: not done."
    )
    fourier: Fourier | None = Field(
        default=None, description="Low frequencies of another domain's patch; absent: not done."
    )
    partner_by: Literal["scanner", "tumour", "species", "laboratory", "group"] | None = Field(
        default=None,
        description="Domains that the other patch of `stain_transfer` and `fourier` comes from; "
        "by default those of `sampling.balance_by`.",
    )
    scanner: Scanner | None = Field(
        default=None, description="Translation to a second scanner; absent: not done."
    )
    stain: Stain = Field(default=Stain(), description="Stain jitter in optical density.")
    tone: Tone = Field(default=Tone(), description="Brightness, contrast, gamma.")
    camera: Camera | None = Field(
        default=None, description="Colour matrix of a camera; absent: not done."
    )
    colour: Colour = Field(default=Colour(), description="Hue and saturation.")
    blur: Blur = Field(default=Blur(), description="Defocus.")
    sharpen: Sharpen = Field(default=Sharpen(), description="Sharpening.")
    noise: Noise = Field(default=Noise(), description="Camera noise.")
    jpeg: Jpeg = Field(default=Jpeg(), description="JPEG compression.")
