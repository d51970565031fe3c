import contextlib
import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.scoresfile import is_scores, load_scores, save_scores
from tests.evaluation.scenes import random_scene


@pytest.fixture(scope="module")
def scores():
    dataset, detections = random_scene(3, cases=4)
    return with_intervals(evaluate(detections, dataset, protocol="exercise"), resamples=20)


@pytest.fixture(scope="module")
def data(scores, tmp_path_factory):
    path = tmp_path_factory.mktemp("scores") / "s.json"
    save_scores(scores, path)
    return json.loads(path.read_text())


def test_what_is_read_is_what_was_written(scores, tmp_path):
    path = tmp_path / "s.json"
    save_scores(scores, path)
    again = load_scores(path)
    assert again.to_dict() == scores.to_dict()
    save_scores(again, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert is_scores(path)
    assert not is_scores(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b"\xff\xfe\x00", b"\x80", b'{"format": 1}',
        b'{"format": 1, "outcomes": ' + b"[" * 20_000, b'{"format": ' + b"9" * 6000 + b"}",
        b'{"format": 1, "outcomes": [{}]}', b'{"format": 1, "outcomes": 3, "rule": "midog"}',
    ],
)  # fmt: skip
def test_other_files_are_an_error_that_names_the_file(content, tmp_path):
    path = tmp_path / "s.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"s\.json"):
        load_scores(path)
    is_scores(path)


WRONG = [
    float("nan"), float("inf"), -1, -1.5, 10**400, "text", None, True, [], {}, [1], [[1, 2, 3]],
    "\ud800", 2.5,
]  # fmt: skip


def paths_of(value, path=()):
    """Yield the path of every value in nested dicts and lists."""
    yield path
    if not isinstance(value, dict | list):
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from paths_of(inner, (*path, key))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(draw=st.data())
def test_one_wrong_value_is_never_a_traceback(data, tmp_path, draw):
    places = [path for path in paths_of(data) if path]
    place = draw.draw(st.sampled_from(places))
    changed = copy.deepcopy(data)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if draw.draw(st.booleans()):
        inner[place[-1]] = draw.draw(st.sampled_from(WRONG))
    else:
        del inner[place[-1]]
    path = tmp_path / "s.json"
    path.write_text(json.dumps(changed))
    with contextlib.suppress(InputError):
        load_scores(path).to_dict()


def test_a_damaged_case_is_named(data, tmp_path):
    changed = copy.deepcopy(data)
    changed["outcomes"][1]["score"][0] = 7.0
    (tmp_path / "s.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match=r"case 'case01': .*scores from 0 to 1"):
        load_scores(tmp_path / "s.json")
