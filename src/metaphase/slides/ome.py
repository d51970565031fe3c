"""OME-XML in the description of a TIFF file: its images, their pages and resolutions.

https://docs.openmicroscopy.org/ome-model/ (OME-TIFF specification, TiffData and Pixels elements).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from metaphase.slides.mpp import Resolution, from_aperio, resolution, um_per_unit

MAX_CHARACTERS = 64 << 20
MAX_PLANES = 4096
"""Of one image; slides have one, or three."""

Element = ElementTree.Element


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of an OME-TIFF file.

    ``pages`` are the numbers of the file's pages that hold its channels at the first z and t: one
    page of RGB, or one page for each channel. They are empty if they lie in another file.
    ``stack`` is the number of planes along z and t.
    """

    width: int
    height: int
    pages: tuple[int, ...]
    channel_names: tuple[str, ...]
    stack: int
    resolution: Resolution | None

    @property
    def area(self) -> int:
        """The number of pixels of a plane."""
        return self.width * self.height


def ome_images(text: str | None) -> list[OmeImage]:
    """Return the images that an OME-XML text describes; none if it is no valid OME-XML."""
    root = _root(text)
    if root is None:
        return []
    images = []
    for pixels in _children(root, "Image", "Pixels"):
        try:
            images.append(_image(root, pixels))
        except (KeyError, ValueError, OverflowError):
            continue
    return images


def described_resolution(text: str | None) -> Resolution | None:
    """Return the resolution in a TIFF description: OME's largest image, or Aperio's MPP."""
    if images := ome_images(text):
        return max(images, key=lambda image: image.area).resolution
    return from_aperio(text or "")


def _root(text: str | None) -> Element | None:
    """Return the OME element. Entities are not expanded: no OME writer declares any."""
    text = (text or "").strip("\0\ufeff \r\n\t")
    if "<OME" not in text[:4096] and ":OME" not in text[:4096]:
        return None
    if len(text) > MAX_CHARACTERS or re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        return None
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return None
    return root if _tag(root) == "OME" else None


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, *tags: str) -> Iterator[Element]:
    """Yield the descendants along a path of tags, in any namespace."""
    if not tags:
        yield element
        return
    for child in element:
        if _tag(child) == tags[0]:
            yield from _children(child, *tags[1:])


def _image(root: Element, pixels: Element) -> OmeImage:
    size = {axis: _count(pixels, f"Size{axis}") for axis in "XYCZT"}
    channels = list(_children(pixels, "Channel"))
    samples = sum(int(channel.get("SamplesPerPixel", "1")) for channel in channels)
    # Channels of several samples (RGB) are one page; SizeC counts their samples.
    planes = len(channels) if channels and samples == size["C"] else size["C"]
    return OmeImage(
        size["X"],
        size["Y"],
        _pages(root, pixels, {"C": planes, "Z": size["Z"], "T": size["T"]}),
        tuple(channel.get("Name", "") for channel in channels),
        size["Z"] * size["T"],
        _resolution(pixels),
    )


def _count(pixels: Element, name: str) -> int:
    value = int(pixels.attrib[name])
    if value < 1:
        raise ValueError(f"{name} is {value}")
    return value


def _pages(root: Element, pixels: Element, size: dict[str, int]) -> tuple[int, ...]:
    """Return the page of each channel at z = t = 0."""
    total = size["C"] * size["Z"] * size["T"]
    if total > MAX_PLANES:
        raise ValueError(f"{total} planes")
    order = pixels.get("DimensionOrder", "XYCZT")[2:]
    if sorted(order) != ["C", "T", "Z"]:
        raise ValueError(f"dimension order {order}")
    # Planes in their order in the file: the first axis changes fastest.
    axes = [range(size[axis]) for axis in reversed(order)]
    places = [dict(zip(reversed(order), at, strict=True)) for at in itertools.product(*axes)]
    number = {(p["C"], p["Z"], p["T"]): i for i, p in enumerate(places)}
    page_of: dict[int, int] = {}
    for data in _own_data(root, list(_children(pixels, "TiffData"))):
        first = number.get(tuple(int(data.get(f"First{axis}", "0")) for axis in "CZT"))  # type: ignore[arg-type]
        if first is None:
            raise ValueError("TiffData outside of the image")
        ifd = int(data.get("IFD", "0"))
        count = int(data.get("PlaneCount", "1" if "IFD" in data.attrib else str(total)))
        for step in range(min(count, total - first)):
            page_of[first + step] = ifd + step
    channels = [page_of.get(number[c, 0, 0]) for c in range(size["C"])]
    if any(page is None or page < 0 for page in channels):
        return ()
    return tuple(page for page in channels if page is not None)


def _own_data(root: Element, data: list[Element]) -> list[Element]:
    """Return the TiffData elements whose planes are in this file."""
    files = {id(item): next(_children(item, "UUID"), None) for item in data}
    names = {uuid.text or uuid.get("FileName") for uuid in files.values() if uuid is not None}
    if len(names) <= 1:  # all in one file, which may have been renamed
        return data
    own = root.get("UUID")
    return [item for item in data if (uuid := files[id(item)]) is None or (uuid.text or "") == own]


def _resolution(pixels: Element) -> Resolution | None:
    across = pixels.get("PhysicalSizeX")
    if across is None:
        return None
    down = pixels.get("PhysicalSizeY", across)
    unit_x = um_per_unit(pixels.get("PhysicalSizeXUnit", "µm"))
    unit_y = um_per_unit(pixels.get("PhysicalSizeYUnit", "µm"))
    if "PhysicalSizeY" not in pixels.attrib:
        unit_y = unit_x
    if unit_x is None or unit_y is None:
        return None
    try:
        return resolution(float(across) * unit_x, float(down) * unit_y, "OME PhysicalSize")
    except ValueError:
        return None
