from __future__ import annotations

import math
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from metaphase.training.recipe.toml import dumps

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
SCALAR = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    TEXT,
)
VALUE = st.one_of(SCALAR, st.lists(SCALAR, max_size=4), st.lists(st.lists(SCALAR), max_size=3))
TABLE = st.recursive(
    st.dictionaries(TEXT, VALUE, max_size=4),
    lambda inner: st.dictionaries(
        TEXT, st.one_of(VALUE, inner, st.lists(inner, min_size=1, max_size=3)), max_size=4
    ),
    max_leaves=8,
)


@given(TABLE)
def test_what_is_written_is_read_back(data):
    back = tomllib.loads(dumps(data))
    assert back == data
    assert _types(back) == _types(data)


def test_keys_without_a_value_are_left_out():
    assert tomllib.loads(dumps({"a": None, "b": {"c": None, "d": 1}})) == {"b": {"d": 1}}


def test_numbers_keep_their_kind():
    back = tomllib.loads(dumps({"a": 1.0, "b": 1e22, "c": 1, "d": math.inf}))
    assert [type(v) for v in back.values()] == [float, float, int, float]


def _types(value):
    if isinstance(value, dict):
        return {key: _types(inner) for key, inner in value.items()}
    return [_types(v) for v in value] if isinstance(value, list) else type(value)
