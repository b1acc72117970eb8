"""Exponents that are known beforehand, and what a report says of speeds that never were measured."""

from dataclasses import replace

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from minitx.study.growth import crossings, exponent, last_exponent
from minitx.study.sections import SECTIONS
from tests.study.made_results import made

LENGTHS = (32, 64, 128, 256, 512, 1024)


def power_law(scale, power):
    return [scale * length**power for length in LENGTHS]


@pytest.mark.parametrize("power", [-0.5, 0, 1, 2])
def test_the_exponent_of_a_power_law(power):
    found = exponent(LENGTHS, power_law(3.0, power))
    assert (found.value, found.low, found.high) == pytest.approx((power,) * 3, abs=1e-6)
    assert last_exponent(LENGTHS, power_law(3.0, power)) == pytest.approx(power)
