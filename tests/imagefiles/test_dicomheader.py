from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.imagefiles.dicomheader import DicomHeader, dicom_header, parse_header

WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def element(tag: tuple[int, int], text: str, *, order: str = "<", explicit: bool = True) -> bytes:
    value = text.encode() + b"\0" * (len(text) % 2)
    if explicit:
        return struct.pack(f"{order}HH2sH", *tag, b"UI", len(value)) + value
    return struct.pack(f"{order}HHI", *tag, len(value)) + value


def sequence(explicit: bool, order: str) -> bytes:
    """A sequence of undefined length with an item of undefined length and one of a known one."""
    head = struct.pack(f"{order}HH", 0x0008, 0x1115)
    head += b"SQ\0\0" if explicit else b""
    inside = element((0x0008, 0x1150), WSI, order=order, explicit=explicit)
    unknown = struct.pack(f"{order}I", 0xFFFFFFFF)
    item = struct.pack(f"{order}HH", 0xFFFE, 0xE000)
    return (
        head + unknown + item + unknown + inside
        + struct.pack(f"{order}HHI", 0xFFFE, 0xE00D, 0)
        + item + struct.pack(f"{order}I", len(inside)) + inside
        + struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0)
    )  # fmt: skip


def content(syntax: str) -> bytes:
    explicit, order = syntax != IMPLICIT, ">" if syntax == BIG else "<"
    body = (
        element((0x0008, 0x0016), WSI, order=order, explicit=explicit)
        + sequence(explicit, order)
        + element((0x0020, 0x000D), "1.2", order=order, explicit=explicit)
        + element((0x0020, 0x000E), "1.2.3.4", order=order, explicit=explicit)
        + element((0x0028, 0x0010), "9", order=order, explicit=explicit)
    )
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    return element((0x0002, 0x0010), syntax) + body


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_class_and_series_are_found_in_every_syntax(syntax: str) -> None:
    assert parse_header(content(syntax)) == DicomHeader(WSI, "1.2.3.4")


def test_a_real_file(data_dir: Path) -> None:
    header = dicom_header(data_dir / "slides" / "small_dicom.dcm")
    assert header is not None
    assert header.sop_class == WSI
    assert header.series.count(".") > 4


test_a_real_file = pytest.mark.needs_data(test_a_real_file)


def test_other_files_have_no_header(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"II*\0" + bytes(200))
    assert dicom_header(tmp_path / "a") is None
    assert dicom_header(tmp_path / "none") is None
    assert dicom_header(tmp_path) is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert dicom_header(tmp_path / "pipe") is None


@pytest.mark.parametrize(
    ("sop_class", "image"),
    [
        (WSI, True),
        ("1.2.840.10008.5.1.4.1.1.77.1.2", True),
        ("", True),
        ("1.2.840.10008.5.1.4.1.1.91.1", False),
        ("1.2.840.10008.5.1.4.1.1.88.34", False),
        ("1.2.840.10008.5.1.4.1.1.66.4", False),
        ("1.2.840.10008.1.3.10", False),
    ],
)
def test_annotations_reports_and_directories_are_no_images(sop_class: str, image: bool) -> None:
    assert DicomHeader(sop_class, "1").is_image is image


@given(st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED]), st.data())
def test_damaged_headers_are_no_traceback(syntax: str, data: st.DataObject) -> None:
    whole = bytearray(content(syntax))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    parse_header(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
