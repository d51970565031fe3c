"""The first elements of a DICOM file: what it is, and which series it belongs to.

Only what is needed to find the files of one slide, so that the base install needs no DICOM library.
File format and transfer syntaxes: DICOM PS3.10 section 7.1 and PS3.5 section 7.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from metaphase.files import open_regular

MAGIC_AT = 128
MAGIC = b"DICM"

_HEAD_BYTES = 1 << 20
_SOP_CLASS, _SERIES, _SYNTAX = (0x0008, 0x0016), (0x0020, 0x000E), (0x0002, 0x0010)
_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_DIRECTORY = "1.2.840.10008.1.3.10"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NO_IMAGE = ("11", "66", "88", "91", "104")  # presentation, segmentation, reports, annotations
_MAX_DEPTH = 16

Tag = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """The class of a DICOM object and its SeriesInstanceUID; empty where the file has none."""

    sop_class: str
    series: str

    @property
    def is_image(self) -> bool:
        """Whether the object may be an image; annotations and reports are not."""
        kind = self.sop_class.removeprefix(_STORAGE).split(".")[0]
        return self.sop_class != _DIRECTORY and not (
            self.sop_class.startswith(_STORAGE) and kind in _NO_IMAGE
        )


def dicom_header(path: Path) -> DicomHeader | None:
    """Return the header of a DICOM file with or without a suffix; None for other files."""
    try:
        with open_regular(path) as stream:
            if stream.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] != MAGIC:
                return None
            data = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    return parse_header(data)


def parse_header(data: bytes) -> DicomHeader:
    """Return the header in the bytes after the magic number; as far as they can be understood."""
    values: dict[Tag, str] = {}
    try:
        at = _Reader(data, 0, "<", explicit=True).collect(values, until=0x0002)
        syntax = values.get(_SYNTAX, "")
        if syntax == _DEFLATED:
            data, at = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[at:], _HEAD_BYTES), 0
        order = ">" if syntax == _BIG_ENDIAN else "<"
        _Reader(data, at, order, explicit=syntax != _IMPLICIT).collect(values, until=0x0020)
    except (struct.error, ValueError, zlib.error):
        pass
    return DicomHeader(values.get(_SOP_CLASS, ""), values.get(_SERIES, ""))


class _Reader:
    """Reads data elements one after the other."""

    def __init__(self, data: bytes, at: int, order: str, *, explicit: bool) -> None:
        self.data, self.at, self.order, self.explicit = data, at, order, explicit

    def collect(self, values: dict[Tag, str], until: int) -> int:
        """Add the texts of the elements up to a group to ``values``; return where they end."""
        while self.at < len(self.data):
            before = self.at
            tag, length = self._element()
            if tag[0] > until:
                return before
            if length == _UNDEFINED:
                self._skip_items(0)
                continue
            if tag in (_SOP_CLASS, _SERIES, _SYNTAX):
                values[tag] = self.data[self.at : self.at + length].decode("ascii").strip("\0 ")
            self.at += length
        return self.at

    def _element(self) -> tuple[Tag, int]:
        """Read a tag and a length, and stand before the value."""
        group, element = self._unpack("HH")
        if group == 0xFFFE or not self.explicit:
            return (group, element), self._unpack("I")[0]
        kind = self.data[self.at : self.at + 2]
        self.at += 2
        if kind in _LONG:
            self.at += 2
            return (group, element), self._unpack("I")[0]
        return (group, element), self._unpack("H")[0]

    def _unpack(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(self.order + form, self.data, self.at)
        self.at += struct.calcsize(self.order + form)
        return values

    def _skip_items(self, depth: int) -> None:
        """Skip the items of a sequence of undefined length, up to its delimiter."""
        if depth > _MAX_DEPTH:
            raise ValueError("sequences are nested too deeply")
        while True:
            tag, length = self._element()
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise ValueError("a sequence without items")
            if length != _UNDEFINED:
                self.at += length
                continue
            while True:
                tag, length = self._element()
                if tag == _ITEM_END:
                    break
                if length == _UNDEFINED:
                    self._skip_items(depth + 1)
                else:
                    self.at += length
