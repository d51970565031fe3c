from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaphase.labels.dataset import DOMAINS
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import find_method, method_names


def test_a_method_is_named_and_the_rest_has_defaults() -> None:
    options = AdaptOptions(method="adabn")
    assert options.by is None
    assert options.unlabelled_share == 0.5
    with pytest.raises(ValidationError, match="method"):
        AdaptOptions()  # type: ignore[call-arg]


@pytest.mark.parametrize("by", DOMAINS)
def test_every_kind_of_domain_can_be_told_apart(by: str) -> None:
    assert AdaptOptions(method="adabn", by=by).by == by  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [("by", "hospital"), ("unlabelled_share", 0.0), ("unlabelled_share", 2.5), ("other", 1)],
)
def test_other_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        AdaptOptions.model_validate({"method": "adabn", field: value})


def test_every_method_has_the_common_fields() -> None:
    for name in method_names():
        options = find_method(name).Options(method=name, by="tumour", unlabelled_share=1.0)
        assert isinstance(options, AdaptOptions)
        assert (options.method, options.by, options.unlabelled_share) == (name, "tumour", 1.0)
