from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

from metaphase.slides.open import open_slide
from metaphase.training.patches import pixelcache as decoded
from metaphase.training.patches.pixelcache import DecodedStore
from tests.training.helpers import write_image


@pytest.fixture
def slide(tmp_path):
    return open_slide(write_image(tmp_path / "a.png", 90, 70), mpp=0.25)


def test_a_decoded_slide_reads_as_its_file_does(slide):
    copy = DecodedStore(10).decode(slide)
    assert (copy.width_px, copy.height_px, copy.mpp) == (90, 70, 0.25)
    for place in [(0, 0, 90, 70), (-8, 60, 40, 40), (10.5, 3.25, 30, 20)]:
        for mpp in (None, 0.3, 0.5):
            assert np.array_equal(copy.read(*place, mpp), slide.read(*place, mpp))


def test_a_decoded_slide_can_be_sent(slide):
    store = DecodedStore(10)
    copy = pickle.loads(pickle.dumps(store.decode(slide)))
    assert np.array_equal(copy.read(3, 4, 5, 6), slide.read(3, 4, 5, 6))


def test_no_more_is_decoded_than_there_is_room_for(slide, monkeypatch):
    store = DecodedStore((2 * 90 * 70 * 3 + 1) / 1e6)
    assert [store.decode(slide) is not None for _ in range(3)] == [True, True, False]
    monkeypatch.setattr(decoded, "MAX_PIXELS", 90 * 70 - 1)
    assert DecodedStore(10).decode(slide) is None


def test_the_files_go_with_the_store(slide):
    store = DecodedStore(10)
    store.decode(slide)
    folder = store.folder
    assert any(folder.iterdir())
    del store
    gc.collect()
    assert not folder.exists()


def test_a_store_stays_in_its_process():
    with pytest.raises(TypeError, match="not sent"):
        pickle.dumps(DecodedStore(1))
