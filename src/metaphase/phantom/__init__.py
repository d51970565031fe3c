"""Synthetic H&E images with known figures, drawn from a seed.

No pixel comes from a microscope. Images and scores from these modules must be called synthetic.
"""

from metaphase.phantom.dataset import make_phantom
from metaphase.phantom.region import SyntheticFigure, render_region
from metaphase.phantom.scanners import SCANNERS, Scanner
from metaphase.phantom.slide import make_slide

__all__ = ["SCANNERS", "Scanner", "SyntheticFigure", "make_phantom", "make_slide", "render_region"]
