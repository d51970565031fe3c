"""Finished parts are read back, and only those that are whole and of the same work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.detection.candidates import Candidates
from metaphase.detection.checkpoint import Checkpoint


def part(value: float) -> Candidates:
    rows = np.full((3, 4), value)
    return Candidates(rows, 2, rows[:1])


def same(one: Candidates, other: Candidates) -> bool:
    return (
        np.array_equal(one.rows, other.rows)
        and np.array_equal(one.rescored, other.rescored)
        and one.capped_tiles == other.capped_tiles
    )


def test_parts_come_back_by_their_first_group(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "one")
    checkpoint.save(0, 2, part(1))
    checkpoint.save(5, 1, part(2))
    parts = Checkpoint(tmp_path / "c", "one").load(groups=6)
    assert {first: count for first, (count, _) in parts.items()} == {0: 2, 5: 1}
    assert same(parts[0][1], part(1))
    assert same(parts[5][1], part(2))


def test_parts_of_other_work_are_removed(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", "one").save(0, 1, part(1))
    assert Checkpoint(tmp_path / "c", "two").load(groups=6) == {}
    assert Checkpoint(tmp_path / "c", "one").load(groups=6) == {}


@pytest.mark.parametrize("length", [0, 10, 200])
def test_a_part_that_was_cut_short_is_left_out(tmp_path: Path, length: int) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "one")
    checkpoint.save(0, 1, part(1))
    checkpoint.save(1, 1, part(2))
    (path,) = (tmp_path / "c").glob("000000-*.npz")
    path.write_bytes(path.read_bytes()[:length])
    assert list(checkpoint.load(groups=2)) == [1]


def test_parts_that_overlap_or_reach_beyond_the_image_are_left_out(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "one")
    checkpoint.save(0, 3, part(1))
    checkpoint.save(2, 2, part(2))
    checkpoint.save(4, 9, part(3))
    assert list(checkpoint.load(groups=6)) == [0]


def test_other_files_do_not_disturb(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "one")
    (tmp_path / "c" / "notes.txt").write_text("x")
    (tmp_path / "c" / "000000.npz").write_bytes(b"of version 0.1")
    assert checkpoint.load(groups=6) == {}
    checkpoint.clear()
    assert not (tmp_path / "c").exists()
