import numpy as np
import pandas as pd
import pytest
from scipy import stats

from quintet.conversions.comparisons import compare, false_discovery, mean_interval


def cells_of(level, stratum, values) -> pd.DataFrame:
    """Rows counted into cells."""
    frame = pd.DataFrame({"level": level, "stratum": stratum, "total": values})
    frame = frame.assign(n=1, squares=frame["total"] ** 2, cubes=frame["total"] ** 3)
    return frame.groupby(["level", "stratum"], as_index=False)[["n", "total", "squares", "cubes"]].sum()


def test_the_interval_of_a_mean_is_the_t_interval():
    values = np.arange(40.0)
    low, high = mean_interval(np.array([40]), np.array([values.sum()]), np.array([(values**2).sum()]))
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))


def test_a_mean_of_few_rows_has_no_interval():
    assert np.isnan(mean_interval(np.array([5]), np.array([3.0]), np.array([3.0]))[0][0])


def test_q_values_skip_untested_groups():
    q = false_discovery(np.array([0.001, 0.04, np.nan, 0.03, 0.5]))
    assert q == pytest.approx([0.004, 0.16 / 3, np.nan, 0.16 / 3, 0.5], nan_ok=True)
    assert np.isnan(false_discovery([np.nan])).all()
    assert len(false_discovery([])) == 0


def test_the_p_value_of_a_rare_outcome_is_near_the_exact_one():
    # 15 of 400 where 5 are expected: a normal distribution gives 0.000003.
    cells = pd.DataFrame({"level": ["a", "b"], "stratum": "", "n": [400, 39_600], "total": [15, 485]})
    result = compare(cells.assign(squares=cells["total"], cubes=cells["total"]), is_share=True)
    exact = 2 * stats.hypergeom.sf(14, 40_000, 500, 400)
    assert result.set_index("level")["p_value"]["a"] == pytest.approx(exact, rel=0.4)


def test_p_values_without_effect_are_evenly_spread():
    rng = np.random.default_rng(5)
    p = []
    for _ in range(150):
        level, stratum = rng.integers(0, 8, 4_000), rng.integers(0, 5, 4_000)
        values = (rng.random(4_000) < 0.02 * (1 + stratum)).astype(int) * rng.integers(10, 101, 4_000)
        p += list(compare(cells_of(level, stratum, values), is_share=False)["p_value"])
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(np.array(p) < 0.005) == pytest.approx(0.005, abs=0.005)


def test_an_effect_that_is_its_stratum_s_vanishes_within_strata():
    rng = np.random.default_rng(3)
    stratum = rng.integers(0, 2, 20_000)
    level = np.where(rng.random(20_000) < np.where(stratum == 1, 0.9, 0.1), "a", "b")
    values = (rng.random(20_000) < np.where(stratum == 1, 0.2, 0.02)).astype(int)
    confounded = compare(cells_of(level, stratum, values), is_share=True).set_index("level").loc["a"]
    assert confounded["difference"] > 0.1
    assert confounded["p_value"] > 0.01
    assert confounded["adjusted_low"] < 0 < confounded["adjusted_high"]
    unstratified = compare(cells_of(level, 0, values), is_share=True).set_index("level").loc["a"]
    assert unstratified["p_value"] < 1e-9


def test_a_true_effect_is_found_within_strata_at_its_size():
    rng = np.random.default_rng(4)
    stratum = rng.integers(0, 2, 20_000)
    level = np.where(rng.random(20_000) < np.where(stratum == 1, 0.9, 0.1), "a", "b")
    values = (rng.random(20_000) < np.where(stratum == 1, 0.1, 0.02) + 0.05 * (level == "a")).astype(int)
    result = compare(cells_of(level, stratum, values), is_share=True).set_index("level").loc["a"]
    assert result["p_value"] < 1e-6
    assert result["adjusted_low"] < 0.05 < result["adjusted_high"]
    assert result["difference"] > result["adjusted_high"]


def test_a_group_too_small_is_not_tested():
    cells = pd.DataFrame({"level": ["a", "b"], "stratum": "", "n": [20, 9_000], "total": [20, 90]})
    result = compare(cells.assign(squares=cells["total"], cubes=cells["total"]), is_share=True).set_index("level")
    assert result["p_value"].isna().all()


def test_nothing_to_compare_gives_no_rows():
    assert compare(cells_of([], [], []), is_share=True).empty
