"""Every word for an imported graph has code that knows it."""

from __future__ import annotations

from typing import get_args

from metaphase.detection.foreign.decode import DECODERS
from metaphase.detection.foreign.outputs import OF_KIND, RECOGNISERS
from metaphase.models.foreignkinds import Decoding, Kind


def test_every_decoding_is_recognised_and_decoded():
    assert set(get_args(Decoding)) == set(DECODERS) == set(RECOGNISERS)


def test_every_kind_has_decodings_and_every_decoding_a_kind():
    assert set(get_args(Kind)) == set(OF_KIND)
    assert {name for names in OF_KIND.values() for name in names} == set(DECODERS)
