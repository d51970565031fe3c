"""Damaged label files: whatever happens to them, the answer is a Dataset or a LabelError."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaphase.errors import LabelError
from metaphase.labels.audit import audit
from tests.labels.files import CATEGORIES, image, mark, write_sliderunner

GOOD: dict[str, Any] = {
    "info": {"description": "set", "mpp": 0.25},
    "images": [image(1, scanner="A", slide="s", labelled=True), image(2, "b.png")],
    "annotations": [
        mark(1, 1, [595, 299, 30, 40], area=1200, centroid=[610, 319]),
        mark(2, 2, [100, 200, 50, 50], 2),
    ],
    "categories": CATEGORIES,
}
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["001.tiff", "../x.png", "/", "\x00", "1e999", "nan"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def assert_answer(path: Path) -> None:
    """Fail with anything but an answer: a LabelError without problems is none either."""
    told: Any
    try:
        told = audit(path).dataset
    except LabelError as error:
        told = error.problems or None
    assert told is not None


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in inner:
        found.append((*path, key))
        if isinstance(item, dict | list):
            found += places_of(item, (*path, key))
    return found


def changed(path: tuple[Any, ...], value: Any, delete: bool) -> Any:
    data = json.loads(json.dumps(GOOD))
    at = data
    for key in path[:-1]:
        at = at[key]
    if delete:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return data


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(places_of(GOOD)), json_values, st.booleans())
def test_json_with_one_value_replaced(
    tmp_path: Path, place: tuple[Any, ...], value: Any, delete: bool
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(changed(place, value, delete)), encoding="utf-8")
    assert_answer(path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 60), st.binary(max_size=6))
def test_tables_with_bytes_put_in(tmp_path: Path, at: int, junk: bytes) -> None:
    good = b"case,id,x_px,y_px,label\na,1,10,20,mitotic figure\nb,2,3,4,\n"
    path = tmp_path / "figures.csv"
    path.write_bytes(good[:at] + junk + good[at:])
    assert_answer(path)


@pytest.mark.parametrize("seed", range(40))
def test_databases_with_bytes_changed(tmp_path: Path, seed: int) -> None:
    path = write_sliderunner(
        tmp_path / "a.sqlite", [(1, "a.svs")], [(1, 1, 1, 0, [(1, 1)]), (2, 1, 2, 0, [(5, 5)])]
    )
    data = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(200):
        data[chance.randrange(16, len(data))] = chance.randrange(256)
    path.write_bytes(data)
    assert_answer(path)
