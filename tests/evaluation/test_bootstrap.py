import numpy as np
import pytest

from metaphase.evaluation.bootstrap import METHODS, Units, acceleration, intervals, resampled


def mean(sums):
    return sums[:, 0] / sums[:, 1]


def units_of(values, domains=None, groups=None):
    rows = np.stack([np.asarray(values, float), np.ones(len(values))], axis=1)
    names = groups or [str(i) for i in range(len(values))]
    return Units.gather(rows, names, domains or ["d"] * len(values))


@pytest.mark.parametrize("method", METHODS)
def test_the_interval_of_a_mean_holds_the_truth_nineteen_times_in_twenty(method):
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        units = units_of(rng.exponential(1.0, 60))
        found_ = intervals(units, {"m": mean}, resamples=400, method=method, seed=seed)["m"]
        held += found_.low <= 1.0 <= found_.high
    assert 0.88 <= held / 200 <= 0.99


def test_bca_follows_skew_and_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).exponential(1.0, 30)
    ours = intervals(units_of(values), {"m": mean}, resamples=20_000, method="bca")["m"]
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", random_state=0)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    plain = intervals(units_of(values), {"m": mean}, resamples=20_000, method="percentile")["m"]
    assert ours.high > plain.high


def test_bca_of_values_that_tie_agrees_with_scipy():
    """Counts of few cases are often those of a resample: ties are half below."""
    from scipy.stats import bootstrap

    values = np.array([0, 0, 0, 1, 1, 4.0])
    ours = intervals(units_of(values), {"m": mean}, resamples=20_000, method="bca", level=0.8)["m"]
    theirs = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", confidence_level=0.8, random_state=0
    )
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=1e-9)


def test_acceleration_of_a_mean_is_a_sixth_of_its_skewness_by_root_n():
    values = np.random.default_rng(2).exponential(1.0, 50)
    deviation = values - values.mean()
    wanted = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    assert acceleration(units_of(values), mean) == pytest.approx(wanted, rel=1e-6)


def test_resamples_keep_every_stratum():
    units = units_of(np.arange(10), domains=["a"] * 3 + ["b"] * 7)
    rows = np.concatenate([np.eye(2)[[0] * 3 + [1] * 7], np.ones((10, 1))], axis=1)
    units = Units.gather(rows, [str(i) for i in range(10)], ["a"] * 3 + ["b"] * 7)
    sums = np.concatenate(list(resampled(units, 700, seed=1)))
    assert sums.shape == (700, 3)
    assert (sums == [3, 7, 10]).all()


def test_draws_are_with_replacement_and_even():
    units = Units(np.eye(6), np.zeros(6, np.int64))
    weights = np.concatenate(list(resampled(units, 3000, seed=0)))
    assert (weights.sum(axis=1) == 6).all()
    assert weights.max() >= 4
    assert np.allclose(weights.mean(axis=0), 1, atol=0.06)


def test_groups_are_drawn_as_one_and_strata_of_one_unit_are_merged():
    units = units_of([1, 2, 3, 4], domains=["a", "a", "b", "c"], groups=["g", "g", "h", "i"])
    assert units.sums[:, 0].tolist() == [3, 3, 4]
    assert units.stratum.tolist() == [0, 0, 0]


def test_one_unit_and_undefined_scores_have_no_interval():
    assert intervals(units_of([1.0]), {"m": mean})["m"].low is None
    sparse = Units(np.stack([np.ones(8), np.eye(8)[0]], axis=1), np.zeros(8, np.int64))
    with np.errstate(all="ignore"):
        assert intervals(sparse, {"m": mean}, resamples=200)["m"].low is None
    with pytest.raises(ValueError, match="percentile"):
        intervals(units_of([1, 2]), {"m": mean}, method="t")  # type: ignore[arg-type]
