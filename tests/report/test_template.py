import pytest
from jinja2 import UndefinedError

from metaphase.report.template import markup, render


def test_text_is_escaped_and_own_markup_is_not():
    values = {"version": "1", "threshold": 0.5, "model_id": "m", "points": []}
    page = render("stress.html", title="<b>", sweeps=[("s", [markup("<svg></svg>")])], **values)
    assert "<title>&lt;b&gt;</title>" in page
    assert "<figure><svg></svg></figure>" in page
    assert "--paper" in page, "the style sheet is inside"


def test_a_missing_value_is_an_error_and_not_an_empty_place():
    with pytest.raises(UndefinedError):
        render("stress.html", title="t")
