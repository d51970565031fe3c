"""Opening an image file of any format as a Slide."""

from __future__ import annotations

import os
from pathlib import Path

from metaphase.errors import SlideError
from metaphase.files import open_regular
from metaphase.labels.dataset import Case
from metaphase.slides.address import shown, url_of
from metaphase.slides.mpp import MppHints
from metaphase.slides.raster import RasterSlide, raster_kind
from metaphase.slides.remote import RemoteFile
from metaphase.slides.remotesource import NoRangesError, source_of
from metaphase.slides.scratch import scratch
from metaphase.slides.slide import Slide

_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GENERIC, _APERIO = "generic-tiff", "aperio"
_KINDS = "a slide that OpenSlide reads, TIFF, PNG, JPEG, BMP and WebP"


def open_slide(
    path: str | Path,
    *,
    mpp: float | None = None,
    scanner: str | None = None,
    known_mpp: float | None = None,
    force_mpp: bool = False,
) -> Slide:
    """Open an image file, recognised by its content.

    ``path`` may be an ``https://``, ``s3://`` or ``gs://`` address (extra ``cloud``). TIFF, SVS and
    OME-TIFF are read from there in parts; other formats are copied to a scratch folder once.

    The resolution (um/px at full resolution) is taken from the file's own tags, else from
    ``known_mpp`` (what a label file says), else from the known value of ``scanner``, else from
    ``mpp`` (the user's value); ``slide.mpp_source`` names the source. Differences of more than
    5 % are in ``slide.notes``. ``force_mpp`` gives the user's value precedence over wrong tags.

    Raises SlideError for a missing, damaged or unsupported file, UnknownMppError if no source knows
    the resolution.
    """
    hints = MppHints(user=mpp, labels=known_mpp, scanner=scanner, force=force_mpp)
    url = url_of(path)
    return _open_local(Path(path), hints) if url is None else _open_remote(url, hints)


def _open_remote(url: str, hints: MppHints) -> Slide:
    """Open a slide on a server: TIFF in parts, a copy of any other."""
    try:
        remote = RemoteFile(url)
        if remote.read(0, 4) in _TIFF_HEADS:
            from metaphase.slides.tiff import TiffSlide

            return TiffSlide(Path(shown(url)), hints, remote)
        why = "its format cannot be read in parts"
    except NoRangesError:
        why = "the server or its format does not allow reading it in parts"
    path = scratch().copy(url, source_of(url))
    slide = _open_local(path, hints)
    slide.notes = (*slide.notes, f"{path.name}: copied from the server, because {why}")
    return slide


def _open_local(path: Path, hints: MppHints) -> Slide:
    head = _head(path)
    vendor = _vendor(path)
    if vendor is not None and vendor != _GENERIC:
        return _whole_slide(path, vendor, hints)
    if head.startswith(_TIFF_HEADS):
        from metaphase.slides.tiff import TiffSlide

        return TiffSlide(path, hints)
    if raster_kind(head):
        return RasterSlide(path, hints)
    raise SlideError.of(path, "is no image in a known format", way_out=f"it reads {_KINDS}")


def open_case(case: Case, *, mpp: float | None = None, force_mpp: bool = False) -> Slide:
    """Open a case's image with the resolution in its labels.

    Raises SlideError if the case has no image, or the image is not of the size in the labels.
    """
    if case.image is None:
        raise SlideError.of(
            f"case {case.id}", "has no image", way_out="name the folder of images with --images"
        )
    slide = open_slide(
        case.image, mpp=mpp, scanner=case.scanner, known_mpp=case.mpp, force_mpp=force_mpp
    )
    labelled = (case.width_px or slide.width_px, case.height_px or slide.height_px)
    if labelled != (slide.width_px, slide.height_px):
        slide.close()
        raise SlideError.of(
            case.image,
            f"is {slide.width_px} x {slide.height_px} px, but the labels of case {case.id} "
            f"were made on {labelled[0]} x {labelled[1]} px",
            way_out="use the image that was labelled",
        )
    return slide


def _head(path: Path) -> bytes:
    if os.path.isdir(path):
        raise SlideError.of(path, "is a folder", way_out="name a file in it")
    try:
        with open_regular(path) as stream:
            head = stream.read(16)
    except OSError as error:
        raise SlideError.of(path, f"cannot be read: {error.strerror or error}") from error
    if not head:
        raise SlideError.of(path, "is empty", way_out="copy the file again")
    return head


def _whole_slide(path: Path, vendor: str, hints: MppHints) -> Slide:
    from metaphase.slides.aperio import AperioSlide
    from metaphase.slides.openslide import OpenSlideSlide

    return AperioSlide(path, hints) if vendor == _APERIO else OpenSlideSlide(path, hints)


def _vendor(path: Path) -> str | None:
    from metaphase.slides.openslide import vendor_of

    try:
        return vendor_of(path)
    except Exception:  # a file too damaged to be recognised: the readers below say how
        return None
