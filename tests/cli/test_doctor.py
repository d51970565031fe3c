from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from metaphase.cli.doctor import app
from metaphase.errors import RecipeError
from tests.training.helpers import write_image

RECIPE = """
name = "patient"
[data]
sources = [{ labels = "figures.csv" }]
split = { training = ["a"], validation = ["b"] }
[network]
kind = "compact"
weights = "none"
[sampling]
patch_px = 64
patches_per_epoch = 40
[trainer]
workers = 0
batch_size = 2
"""


@pytest.fixture
def recipe(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"{name}.png", 120, 120)
    (tmp_path / "figures.csv").write_text("case,x_px,y_px\na,50,50\nb,60,60\n")
    (tmp_path / "cases.csv").write_text(
        "id,image,scanner,mpp,width_px,height_px\n"
        "a,a.png,Aperio XT,0.25,120,120\nb,b.png,Aperio XT,0.25,120,120\n"
    )
    path = tmp_path / "r.toml"
    path.write_text(RECIPE)
    return path


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def test_a_table_of_findings(recipe):
    result = call(recipe, "--no-measure")
    assert result.exit_code == 0, result.output
    assert "data.split" in result.output
    assert "0 error, 0 trap" in result.output


def test_the_table_fits_a_narrow_terminal(recipe):
    words = [str(recipe), "--no-measure"]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "data.split" in "".join(result.stdout.split())


def test_traps_do_not_fail(recipe):
    result = call(recipe, "--no-measure", "--set", "validation.threshold=0.5")
    assert result.exit_code == 0
    assert "trap" in result.output


def test_errors_exit_with_2(recipe):
    assert call(recipe, "--no-measure", "--set", "sampling.patch_px=100").exit_code == 2


def test_json_is_whole(recipe):
    result = call(recipe, "--no-measure", "--json")
    findings = json.loads(result.stdout)
    assert {"level", "where", "message", "measured", "way_out"} == set(findings[0])


def test_a_broken_recipe_is_an_error_of_ours(recipe):
    result = call(recipe, "--set", "trainer.epochz=1")
    assert isinstance(result.exception, RecipeError)
