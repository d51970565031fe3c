from __future__ import annotations

import subprocess
import sys

import pytest

import metaphase

PUBLIC = [
    "AnalysedRegion",
    "Case",
    "Dataset",
    "Detections",
    "DetectionsError",
    "Figure",
    "InputError",
    "InterruptedRunError",
    "Label",
    "LabelError",
    "MetaphaseError",
    "MissingExtraError",
    "MitoticCount",
    "Model",
    "ModelFileError",
    "Outcome",
    "Problem",
    "Provenance",
    "Recipe",
    "RecipeError",
    "Runtime",
    "Scores",
    "Slide",
    "SlideError",
    "Split",
    "SplitError",
    "UnknownMppError",
    "Validation",
    "__version__",
    "convert",
    "count",
    "detect",
    "detect_images",
    "evaluate",
    "load_dataset",
    "load_detections",
    "load_model",
    "load_recipe",
    "load_scores",
    "load_split",
    "open_runtime",
    "open_slide",
    "read_detections",
    "save_detections",
    "save_scores",
    "save_split",
    "train",
    "write_sample",
]


def test_the_public_names_are_fixed() -> None:
    """Adding one is a promise, taking one away breaks users: both are done here on purpose."""
    assert metaphase.__all__ == PUBLIC
    assert dir(metaphase) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_had(name: str) -> None:
    found = getattr(metaphase, name)
    if name != "__version__":
        assert found.__name__ == name
        assert found.__doc__, "a public name is documented"


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'spoons'"):
        _ = metaphase.spoons


def test_importing_costs_next_to_nothing() -> None:
    code = (
        "import sys, metaphase; "
        "print(*[n for n in ('numpy', 'torch', 'scipy', 'pydantic', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_base_install_needs_no_torch_for_its_names() -> None:
    """Every public name can be imported where PyTorch is not installed."""
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'torchvision', 'timm', 'pytorch_lightning'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import metaphase\n"
        "for name in metaphase.__all__:\n"
        "    getattr(metaphase, name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
