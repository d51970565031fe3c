from dataclasses import replace

from metaphase.evaluation.matching import RULES
from metaphase.report.methods import methods


def test_the_paragraphs_state_what_was_done(scores):
    text = " ".join(methods([scores], ["mine"]))
    assert f"{scores.overall.cases} cases of random" in text
    assert "mine (model id unknown) was scored at a threshold of 0.5" in text
    assert "within 7.5 \N{MICRO SIGN}m" in text
    assert "50 resamples" in text


def test_every_rule_has_a_description(scores):
    texts = {" ".join(methods([replace(scores, rule=rule)], ["m"])) for rule in RULES}
    assert len(texts) == len(RULES)


def test_different_thresholds_are_stated(scores):
    assert "which differ between cases" in " ".join(methods([replace(scores, threshold=None)], "m"))
