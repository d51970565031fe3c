from __future__ import annotations

import pytest

from metaphase.figures import Label
from metaphase.training.recipe.sections import CompactNetwork, RetinaNetwork
from tests.training.helpers import make_recipe


def test_classes_follow_the_hard_negatives():
    assert make_recipe().classes == (Label.MITOTIC,)
    two = make_recipe(network={"hard_negative_class": True}).classes
    assert two == (Label.MITOTIC, Label.HARD_NEGATIVE)


def test_options_are_what_the_networks_take():
    from metaphase.models.options import CompactOptions, RetinaNetOptions

    assert CompactOptions(**CompactNetwork(kind="compact").options()) == CompactOptions()
    retina = RetinaNetwork(kind="retinanet_resnet50_fpn_v2", anchors=((32.0,),))
    assert RetinaNetOptions(**retina.options()) == RetinaNetOptions(anchors=((32.0,),))


def test_anchors_from_labels_must_be_measured():
    retina = RetinaNetwork(kind="retinanet_resnet50_fpn_v2")
    assert retina.options(((40.0,),))["anchors"] == ((40.0,),)
    with pytest.raises(ValueError, match="measured"):
        retina.options()
