from __future__ import annotations

import pytest

from metaphase.classnames import atypical_of, label_of, mentions_mitosis
from metaphase.figures import Label


@pytest.mark.parametrize(
    "name",
    [
        *("mitotic figure", "Mitotic Figures", "MITOTIC_FIGURE", "Mitose", "mitosis", "Mitoses"),
        *("canonical mitosis", "atypical mitotic figure", "Mitosis (metaphase)", "anaphase"),
        *("Tumor: Mitosis", "MF", "mitotic cell", "Mitotic figure, atypical"),
        *("Mitosis/mitotic figure", " mitosis "),
    ],
)
def test_spellings_of_mitotic_figures(name: str) -> None:
    assert label_of(name) == Label.MITOTIC


@pytest.mark.parametrize(
    "name",
    [
        *("not mitotic figure", "non-mitotic", "nonmitotic", "Non-Mitotic Cell", "no mitosis"),
        *("Hard negative", "hard_negative", "hard negatives", "imposter", "impostor"),
        *("mitosis-like", "mitotic figure lookalike", "look-alike", "Mitosis mimic"),
        *("Mitotic mimickers", "Tumor: non-mitotic", "pseudo-mitosis"),
    ],
)
def test_spellings_of_hard_negatives(name: str) -> None:
    assert label_of(name) == Label.HARD_NEGATIVE


@pytest.mark.parametrize(
    "name",
    [
        *("False mitosis", "Unlikely mitosis", "Mitosis?", "Doubtful mitosis", "Mitochondria"),
        *("Amitotic nucleus", "Mitotic figure (rejected)", "Post-mitotic cell", "possible mitosis"),
        *("Interphase (not in mitosis)", "Mitosis: false positive", "Mitosis, ambiguous"),
        *("False: mitosis", "NMF", "mitotic count region", "normal", "true", "not", "", ":", "a:"),
        *("tumour", "Lymphocyte", "negative", "interphase", "mitosis -", "MF-", "mitosis(-)"),
        *("-mitosis", "(mitosis)", "mitosis+", "Mitosis/mimic", "mitosis / no mitosis", "/", "a/"),
        *("Tumor/Mitosis", "Mitosis: uncertain", "possible MF", "MF?", "mitotic\u200b figure"),
    ],
)
def test_other_classes_stand_for_no_label(name: str) -> None:
    assert label_of(name) is None


@pytest.mark.parametrize(
    ("name", "doubtful"),
    [
        *((name, True) for name in ("Mitosis?", "Amitotic nucleus", "NMF", "MF-", "uncertain")),
        *((name, True) for name in ("Maybe", "Cell: unsure", "???", "prophase", "look-alike?")),
        *((name, False) for name in ("tumour", "comfort", "Lymphocyte", "plasma cell", "")),
    ],
)
def test_which_names_have_to_do_with_mitosis_or_leave_it_open(name: str, doubtful: bool) -> None:
    assert mentions_mitosis(name) == doubtful


@pytest.mark.parametrize(
    ("name", "atypical"),
    [
        ("Atypical mitotic figure", 1.0),
        ("atypical_mitosis", 1.0),
        ("Mitotic figure: Atypical", 1.0),
        ("Tumor: Mitotic figure: Atypical", 1.0),
        ("Anaphase, atypical", 1.0),
        ("abnormal mitoses", 1.0),
        ("Normal mitotic figure", 0.0),
        ("Mitotic figure: Typical", 0.0),
        ("mitotic figure", None),
        ("non-mitotic figure", None),
        ("atypical nucleus", None),
        ("Tumor: Atypical", None),
        ("Atypical", None),
        ("", None),
    ],
)
def test_names_say_whether_a_figure_is_atypical(name: str, atypical: float | None) -> None:
    assert atypical_of(name) == atypical
    if atypical is not None:
        assert label_of(name) == Label.MITOTIC
