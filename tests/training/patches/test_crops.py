from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import RecipeError, SplitError
from metaphase.figures import Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.data.load import check_crops
from metaphase.training.data.sources import select_cases
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.patches.crops import Crops
from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.loader import patch_loader
from metaphase.training.patches.sampling import CROPS, rng_for
from metaphase.training.recipe.sections import Source
from tests.training.helpers import figure, make_recipe, red_free_tissue

RED = (255, 0, 0)
SIZE, MPP = 128, 0.25
PLAIN = {"symmetries": False, "mpp_jitter": 0.0, "strength": 0.0}


def dot(pixels, x, y, colour, radius=6):
    rows, columns = np.mgrid[: len(pixels), : pixels.shape[1]]
    pixels[np.hypot(columns + 0.5 - x, rows + 0.5 - y) < radius] = colour


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Twelve crops on three scanners with a red dot each; one is padded with black."""
    folder = tmp_path_factory.mktemp("crops")
    cases = []
    for n in range(12):
        pixels = red_free_tissue(n, SIZE, SIZE)
        dot(pixels, 64, 64, RED)
        figures = [figure(0, 64, 64)]
        if n == 5:
            dot(pixels, 90, 64, (0, 255, 0))
            figures.append(figure(1, 90, 64, Label.HARD_NEGATIVE))
        if n == 7:
            pixels[:, 100:] = 0
        path = folder / f"{n}.png"
        Image.fromarray(pixels).save(path)
        scanner, group = f"S{n % 3}", f"g{n % 6}"
        cases.append(Case(f"c{n}", path, MPP, scanner, figures=tuple(figures), group=group))
    return Dataset(cases, name="crops")


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    cases = []
    for n, name in enumerate("ab"):
        pixels = red_free_tissue(100 + n, 500, 600)
        dot(pixels, 300, 200, RED)
        path = folder / f"{name}.png"
        Image.fromarray(pixels).save(path)
        cases.append(Case(name, path, MPP, "F", figures=(figure(0, 300, 200),)))
    return Dataset(cases, name="fields")


def patches(fields, crops, *, augment=PLAIN, **sampling):
    sampling = {"patch_px": 192, "rim_px": 24, "patches_per_epoch": 30, **sampling}
    sampling = {"crops_share": 1.0, **sampling}
    return patch_dataset(make_recipe(sampling=sampling, augment=augment), fields, crops)


def composed(data, n=30):
    for index in range(n):
        rng = rng_for(0, 0, index, CROPS)
        yield data.composer.compose(rng, data.sampler, 0, index, data.read)


def reddish(image):
    """Where a red dot is, whatever its stain was made."""
    rgb = image.astype(int)
    return (rgb[..., 0] - rgb[..., 1:].max(axis=2)) > 60


def blobs_of(mask):
    from scipy.ndimage import center_of_mass, label

    marks, n = label(mask)
    sizes = np.bincount(marks.ravel())[1:]
    places = center_of_mass(mask, marks, range(1, n + 1))
    return [(x + 0.5, y + 0.5) for (y, x), size in zip(places, sizes, strict=True) if size > 40]


# --- what is composed


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_every_dot_is_labelled_where_it_is_and_nothing_else_is(fields, crops, jitter):
    data = patches(fields, crops, augment=PLAIN | {"mpp_jitter": jitter})
    labelled = 0
    for patch, _ in composed(data):
        mitotic = patch.points[patch.labels == Label.MITOTIC.code]
        found = np.array(blobs_of(reddish(patch.image))).reshape(-1, 2)
        for point in mitotic:
            if ((point > 8) & (point < 184)).all():
                assert np.hypot(*(found - point).T).min() < 1.5
                labelled += 1
        for place in found:
            known = np.concatenate([mitotic, (patch.ignore[:, :2] + patch.ignore[:, 2:]) / 2])
            assert np.hypot(*(known - place).T).min() < 8
    assert labelled > 20


def test_decoys_have_no_mitotic_figures(fields, crops):
    data = patches(fields, crops, crops_negatives=1.0)
    negatives = [p for _, pastes in composed(data) for p in pastes if p.negative]
    assert len(negatives) > 20
    for paste in negatives:
        assert not reddish(np.ascontiguousarray(paste.picture.image)).any()
        assert (paste.picture.labels != Label.MITOTIC.code).all()


def test_figures_and_decoys_are_pasted_alike(fields, crops):
    data = patches(fields, crops, patches_per_epoch=300, crops_negatives=1.0)
    pastes = [p for _, some in composed(data, 300) for p in some]
    alike = {
        "width": lambda p: p.alpha.shape[1],
        "feather": lambda p: p.feather_px,
        "alpha": lambda p: float(p.alpha.mean()),
        "x": lambda p: p.centre[0],
        "y": lambda p: p.centre[1],
        "aim in window": lambda p: abs(p.picture.centre[0] / p.alpha.shape[1] - 0.5),
    }
    from scipy.stats import ks_2samp

    for name, of in alike.items():
        figures = [of(p) for p in pastes if not p.negative]
        negatives = [of(p) for p in pastes if p.negative]
        assert min(len(figures), len(negatives)) > 150
        assert ks_2samp(figures, negatives).statistic < 0.16, name


def test_figures_lie_anywhere(fields, crops):
    data = patches(fields, crops, patches_per_epoch=100, crops_negatives=0.0)
    pastes = [p for _, some in composed(data, 100) for p in some]
    assert not any(p.negative for p in pastes)
    aims = np.array([p.centre for p in pastes])
    assert (np.ptp(aims, axis=0) > 120).all()
    assert (aims >= 23).all()
    assert (aims <= 169).all()
    off = [np.abs(p.picture.centre - np.array(p.alpha.shape[::-1]) / 2).max() for p in pastes]
    assert np.mean(off) > 4  # and anywhere in their window


def test_padding_never_appears(fields, crops):
    data = patches(fields, crops, patches_per_epoch=100, crops_negatives=0.5)
    for patch, pastes in composed(data, 100):
        assert patch.image.max(axis=2).min() > 40
        assert all(p.picture.image.max(axis=2).min() > 40 for p in pastes)


def test_no_paste_covers_a_figure(fields, crops):
    data = patches(fields, crops, patches_per_epoch=100)
    for patch, pastes in composed(data, 100):
        assert patch.image.shape == (192, 192, 3)
        assert patch.image.dtype == np.uint8
        assert ((patch.points >= 0) & (patch.points < 192)).all()
        assert len(patch.points) == len(patch.boxes) == len(patch.labels)
        for n, paste in enumerate(pastes):
            later = [p.box for p in pastes[n + 1 :]]
            assert not any(
                (b[:2] < paste.centre).all() and (paste.centre < b[2:]).all() for b in later
            )


# --- the same for everybody


def test_workers_change_nothing(fields, crops):
    pytest.importorskip("torch")
    data = patches(fields, crops, augment={}, patches_per_epoch=12, crops_share=0.6)

    def run(workers):
        loader = patch_loader(data, batch_size=4, workers=workers)
        return [(i.numpy().tobytes(), [t["points"].tolist() for t in ts]) for i, ts in loader]

    assert run(0) == run(2)


def test_the_share_says_how_many_are_composed(fields, crops):
    data = patches(fields, crops, patches_per_epoch=200, crops_share=0.4)
    plain = patches(fields, None, patches_per_epoch=200)
    assert plain.composer is None
    made = [data.composer.patch(data.sampler, 0, i, data.read) is not None for i in range(200)]
    assert 0.3 < np.mean(made) < 0.5
    index = made.index(False)
    assert np.array_equal(data[index].image, plain[index].image)  # the others stay as they were
    assert patches(fields, crops, crops_share=0.0).composer is None


def test_crops_arrive_where_they_are_sent_and_go_with_their_owner(crops):
    owner = Crops(crops)
    sent = pickle.loads(pickle.dumps(owner))
    one, other = (c.figure(rng_for(1, 2, 3), 0, 0.25) for c in (owner, sent))
    assert np.array_equal(one.image, other.image)
    folder = owner.folder
    assert folder.is_dir()
    owner.close()
    assert not folder.exists()


# --- pieces


def test_crops_need_a_resolution_and_pixels(crops):
    blind = Dataset([replace(case, mpp=None) for case in crops])
    with pytest.raises(RecipeError, match="um/px is not known"):
        Crops(blind)
    known = Dataset([replace(case, mpp=None, scanner="Hamamatsu XR") for case in crops])
    assert len(Crops(known)) == 12
    with pytest.raises(RecipeError, match="no pixels"):
        Crops(Dataset([replace(case, image=None) for case in crops]))


# --- who is left out


def test_sources_take_a_part_of_their_cases(crops):
    source = Source(labels=Path("x.json"), only=("scanner:S0", "c1"), without=("group:g0",))
    part = select_cases(source, crops)
    assert set(part.ids) == {c.id for c in crops if c.scanner == "S0" or c.id == "c1"} - {
        c.id for c in crops if c.group == "g0"
    }
    with pytest.raises(RecipeError, match="names no case"):
        select_cases(Source(labels=Path("x.json"), without=("scanner:S9",)), crops)


@pytest.mark.parametrize(
    ("held", "leaks"),
    [
        (Case("g1", scanner="other"), True),
        (Case("src/field", group="src/g1"), True),
        (Case("src/field", scanner="S1", group="src/set/g1"), True),
        (Case("src/field", scanner="other", group="src/set/g1"), False),
        (Case("field", scanner="S1"), False),
    ],
)
def test_crops_of_a_held_out_slide_are_refused(crops, held, leaks):
    from metaphase.labels.split import Split

    split = Split(name="s", training=(), validation=(held.id,))
    data = TrainingData(Dataset([held]), crops, split)
    if not leaks:
        return check_crops(data, ["src"])
    with pytest.raises(SplitError, match="crops of g1"):
        check_crops(data, ["src"])
