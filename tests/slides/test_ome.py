from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.slides.ome import described_resolution, ome_images

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def xml(pixels: str = "", inside: str = "<TiffData/>", size: str = "3") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}"><Image ID="Image:0">'
        f'<Pixels DimensionOrder="XYCZT" SizeX="300" SizeY="200" SizeC="{size}" SizeZ="1" '
        f'SizeT="1" {pixels}>{inside}</Pixels></Image></OME>'
    )


RGB = '<Channel SamplesPerPixel="3"/><TiffData/>'
SIGNS = ("µm", "\u03bcm", "um", "&#181;m", "&#xB5;m")
LENGTHS = [
    *(("0.25", sign) for sign in SIGNS),
    *(("250", "nm"), ("0.00025", "mm"), ("2.5E-5", "cm"), ("2.5E-7", "m"), ("2500", "Å")),
]


@pytest.mark.parametrize(("value", "unit"), LENGTHS)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_units_as_writers_spell_them(value: str, unit: str, quote: str) -> None:
    size = " ".join(
        f"PhysicalSize{a} = {quote}{value}{quote} PhysicalSize{a}Unit={quote}{unit}{quote}"
        for a in "XY"
    )
    found = described_resolution(xml(size))
    assert found is not None
    assert found.mpp == pytest.approx(0.25)


def test_units_that_are_no_lengths_are_unknown() -> None:
    for unit in ("pixel", "reference frame", ""):
        assert described_resolution(xml(f'PhysicalSizeX="1" PhysicalSizeXUnit="{unit}"')) is None
    assert described_resolution(xml('PhysicalSizeX="a"')) is None
    assert described_resolution(xml()) is None


def test_the_largest_image_counts() -> None:
    label = '<Image><Pixels SizeX="9" SizeY="9" SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="4"/>'
    text = xml('PhysicalSizeX="0.5"').replace("<Image ID", f"{label}</Image><Image ID")
    found = described_resolution(text)
    assert found is not None
    assert found.mpp == 0.5
    assert [image.area for image in ome_images(text)] == [81, 60_000]


def test_pages_of_channels() -> None:
    assert ome_images(xml(inside=RGB))[0].pages == (0,)
    assert ome_images(xml())[0].pages == (0, 1, 2)
    data = "".join(f'<TiffData IFD="{5 - c}" FirstC="{c}"/>' for c in range(3))
    assert ome_images(xml(inside=data))[0].pages == (5, 4, 3)
    assert ome_images(xml(inside='<TiffData IFD="2" PlaneCount="3"/>'))[0].pages == (2, 3, 4)
    named = "".join(f'<Channel Name="{n}" SamplesPerPixel="1"/>' for n in "RGB") + "<TiffData/>"
    assert ome_images(xml(inside=named))[0].channel_names == ("R", "G", "B")


def test_planes_of_a_stack() -> None:
    text = xml(inside=RGB).replace('SizeZ="1"', 'SizeZ="5"')
    image = ome_images(text)[0]
    assert (image.pages, image.stack) == ((0,), 5)
    image = ome_images(text.replace("XYCZT", "XYZCT").replace(RGB, "<TiffData/>"))[0]
    assert image.pages == (0, 5, 10)


def test_planes_in_other_files_are_not_pages_of_this_one() -> None:
    data = "".join(
        f'<TiffData IFD="0" FirstC="{c}"><UUID FileName="{c}.tif">urn:{c}</UUID></TiffData>'
        for c in range(3)
    )
    assert ome_images(xml(inside=data))[0].pages == ()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Aperio",
        "<OME",
        "<OME><Image><Pixels/></Image></OME>",
        xml().replace("300", "-3"),
        xml().replace('SizeZ="1"', 'SizeZ="999999999"'),
        xml().replace("<OME ", '<!DOCTYPE OME [<!ENTITY a "b">]><OME '),
        "<a>" * 100_000,
    ],
)
def test_other_texts_describe_no_images(text: str | None) -> None:
    assert ome_images(text) == []


@given(st.text(max_size=40), st.integers(0, 400))
def test_no_text_is_a_traceback(text: str, at: int) -> None:
    whole = xml('PhysicalSizeX="0.25"')
    described_resolution(whole[:at] + text + whole[at:])
