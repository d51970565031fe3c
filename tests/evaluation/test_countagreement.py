import numpy as np
import pytest

from metaphase.evaluation.countagreement import categories, count_agreement, quadratic_kappa


def test_count_agreement_by_hand():
    found = count_agreement([1, 5, 10], [3, 5, 6], [1, 1, 1])
    assert found.bias == pytest.approx(-2 / 3)
    sd = np.std([2, 0, -4], ddof=1)
    assert found.low == pytest.approx(-2 / 3 - 1.96 * sd)
    assert found.high == pytest.approx(-2 / 3 + 1.96 * sd)
    assert found.mean_absolute == 2
    assert found.confusion == ((1, 0, 0), (0, 1, 0), (0, 1, 0))
    assert found.in_category == pytest.approx(2 / 3)


def test_count_agreement_of_few_cases():
    assert count_agreement([], [], []).bias is None
    one = count_agreement([3], [4], [1])
    assert (one.bias, one.low, one.high) == (1, None, None)
    assert one.kappa == 0
    assert count_agreement([3], [3], [1]).kappa is None
    assert count_agreement([3], [4], [0]).in_category is None


def test_categories_have_their_lower_edge():
    assert categories([0, 3.99, 4, 7.99, 8, 100]).tolist() == [0, 0, 1, 1, 2, 2]


def test_kappa():
    assert quadratic_kappa(np.diag([3, 4, 5])) == 1
    assert quadratic_kappa(np.array([[0, 0, 5], [0, 0, 0], [5, 0, 0]])) == -1
    # The same as computed by hand from observed and expected disagreement.
    table = np.array([[4, 1, 0], [1, 3, 1], [0, 1, 4]])
    expected = sum(
        (i - j) ** 2 * table[i].sum() * table[:, j].sum() / 15 for i in range(3) for j in range(3)
    )
    assert quadratic_kappa(table) == pytest.approx(1 - 4 / expected)
