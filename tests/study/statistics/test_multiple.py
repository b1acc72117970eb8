"""Test Holm's correction against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.study.statistics.multiple import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=7)


def rejected(p_values, level):
    """Holm's procedure as he describes it: the smallest first, until one is not small enough."""
    left, found = list(enumerate(p_values)), set()
    while left:
        number, smallest = min(left, key=lambda each: each[1])
        if smallest > level / len(left):
            break
        found.add(number)
        left.remove((number, smallest))
    return found


@given(P_VALUES, st.floats(0.001, 0.5))
def test_corrected_values_reject_what_the_procedure_rejects(p_values, level):
    corrected = holm(p_values)
    # At the threshold itself, rounding decides.
    decided = not np.isclose(corrected, level, rtol=1e-9, atol=0).any()
    found = {number for number, p in enumerate(corrected) if p <= level}
    assert found == rejected(p_values, level) or not decided


@given(P_VALUES)
def test_corrected_values_are_never_smaller_and_stay_in_order(p_values):
    corrected = holm(p_values)
    assert ((np.asarray(p_values) <= corrected) & (corrected <= 1)).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


def test_known_figures():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02]) == pytest.approx([0.02])
    assert len(holm([])) == 0


def test_tests_that_were_not_made_do_not_count():
    corrected = holm([0.02, np.nan, 0.03, np.nan])
    assert corrected == pytest.approx([0.04, np.nan, 0.04, np.nan], nan_ok=True)
    assert np.isnan(holm([np.nan])).all()
