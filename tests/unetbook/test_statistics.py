"""What a comparison says: Student's interval of paired differences, and its words."""

import numpy as np
import pytest
from scipy import stats

from unetbook.statistics import interval_text, leaves_out_zero, paired_difference


def test_differences_are_taken_in_pairs():
    rng = np.random.default_rng(0)
    other = rng.normal(0.8, 0.1, 5)  # the seeds' own spread cancels
    one = other + rng.normal(0.02, 0.01, 5)
    reference = stats.ttest_1samp(one - other, 0).confidence_interval(0.95)
    found = paired_difference(list(one), list(other))
    assert found["mean"] == pytest.approx(np.mean(one - other)) and found["pairs"] == 5
    assert (found["low"], found["high"]) == pytest.approx((reference.low, reference.high))
    assert found["high"] - found["low"] < np.std(other)
    back = paired_difference(other, one)
    assert [back["mean"], back["low"], back["high"]] == pytest.approx([-found[n] for n in ("mean", "high", "low")])


def test_one_pair_has_no_interval():
    assert paired_difference([2], [1]) == {"mean": 1, "low": None, "high": None, "pairs": 1}
    with pytest.raises(ValueError):
        paired_difference([1, 2], [1])


def test_an_interval_is_told_with_its_signs():
    row = {"mean": 0.01, "low": -0.002, "high": 0.0224, "pairs": 5}
    assert interval_text(row) == "+0.010 (-0.002 to +0.022)" and not leaves_out_zero(row)
    assert interval_text(row, digits=1) == "+0.0 (-0.0 to +0.0)"
    assert leaves_out_zero(row | {"low": 0.002}) and leaves_out_zero(row | {"high": -0.001})
    alone = paired_difference([2], [1])
    assert interval_text(alone) == "+1.000 (no interval)" and not leaves_out_zero(alone)
