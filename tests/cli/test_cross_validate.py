from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.cli.cross_validate import held_out_patterns
from metaphase.errors import RecipeError


def test_held_out_crops_are_named_or_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("# two slides\ngroup:S1\ngroup:S2\n")
    assert held_out_patterns(["x_*", "@list.txt"]) == ("x_*", "group:S1", "group:S2")
    assert held_out_patterns([]) == ()
    with pytest.raises(RecipeError, match=r"--hold-out.*nowhere\.txt"):
        held_out_patterns(["@nowhere.txt"])
