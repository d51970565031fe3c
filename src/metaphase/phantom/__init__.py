"""A synthetic data set with pixels, made from nothing but a seed.

Nothing here comes from a microscope: images and scores made of it are to be called synthetic.
"""

from metaphase.phantom.dataset import make_phantom
from metaphase.phantom.region import Planted, render_region
from metaphase.phantom.scanners import SCANNERS, Scanner
from metaphase.phantom.slide import make_slide

__all__ = ["SCANNERS", "Planted", "Scanner", "make_phantom", "make_slide", "render_region"]
