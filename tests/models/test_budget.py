"""Test the width that gives a model a number of parameters."""

import re
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.config.schema import MIXERS, RecurrentConfig, TransformerConfig
from minitx.models.budget import fit_width
from minitx.models.build import language_model
from minitx.models.language_model import count_parameters

VOCAB = 65
HEADED = [
    "gated_linear",
    "mamba2",
    "gated_deltanet",
]  # mixers whose heads divide dim, in addition to attention

few_examples = settings(deadline=None, max_examples=6)

BUDGETS = st.integers(20_000, 3_000_000)
RECURRENT = st.builds(
    RecurrentConfig,
    layers=st.integers(1, 2),
    cell=st.sampled_from(["lstm", "gru", "rnn"]),
    tie_embeddings=st.booleans(),
)
TRANSFORMER = st.builds(
    TransformerConfig,
    layers=st.integers(1, 2),
    heads=st.sampled_from([1, 2, 4, 6, 8]),
    mixer=st.sampled_from(["attention", *MIXERS, ["lstm"], ["attention"]]),
    position=st.sampled_from(["sinusoidal", "learned", "rotary", "alibi", "none"]),
    norm=st.sampled_from(["layernorm", "rmsnorm"]),
    gated=st.booleans(),
    bias=st.booleans(),
    tie_embeddings=st.booleans(),
)


build = partial(language_model, vocab_size=VOCAB)


def built(config):
    """Its parameters, counted in a real model."""
    return count_parameters(build(config))[0]


def step_of(config):
    """The smallest difference between two widths that the model allows."""
    if isinstance(config, RecurrentConfig) or not {"attention", *HEADED} & set(config.pattern):
        return 1
    halved = config.position == "rotary" and "attention" in config.pattern
    return config.heads * (2 if halved else 1)


@few_examples
@given(config=TRANSFORMER, parameters=BUDGETS)
def test_a_transformer_fits_any_budget(config, parameters):
    fitted = fit_width(config, build, parameters)
    assert built(fitted) == pytest.approx(parameters, rel=0.02)
    assert fitted.dim % step_of(config) == 0  # heads divide it, and rotary ones are of even width
    assert replace(fitted, dim=config.dim, ff_dim=None) == config


@few_examples
@given(config=RECURRENT | TRANSFORMER, ff_dim=st.integers(8, 500), parameters=BUDGETS)
def test_without_a_free_feed_forward_it_fits_or_the_nearest_is_named(config, ff_dim, parameters):
    if isinstance(config, TransformerConfig):
        config.ff_dim = ff_dim
    try:
        fitted = fit_width(config, build, parameters)
    except ValueError as error:
        numbers = re.search(r"nearest is ([\d,]+) at model.dim=(\d+)", str(error)).groups()
        nearest, dim = (int(number.replace(",", "")) for number in numbers)
        assert built(replace(config, dim=dim)) == nearest
        assert abs(nearest - parameters) > 0.02 * parameters
        for other in {dim + step_of(config), max(dim - step_of(config), step_of(config))}:
            distance = abs(built(replace(config, dim=other)) - parameters)
            assert distance >= abs(nearest - parameters)
    else:
        assert built(fitted) == pytest.approx(parameters, rel=0.02)
        assert fitted.dim % step_of(config) == 0
        assert replace(fitted, dim=config.dim) == config


def test_without_a_feed_forward_the_width_alone_is_solved():
    config = TransformerConfig(layers=2, heads=1, feedforward=False)
    fitted = fit_width(config, build, 300_000)
    assert built(fitted) == pytest.approx(300_000, rel=0.02)
    assert fitted.ff_dim is None


@few_examples
@given(
    reference=st.builds(TransformerConfig, layers=st.integers(1, 2), dim=st.integers(3, 12)),
    mixer=st.sampled_from(["attention", *MIXERS]),
)
def test_a_free_feed_forward_matches_the_size_without_embeddings_too(reference, mixer):
    reference.dim *= 8  # four heads of an even width
    sizes = count_parameters(build(reference))
    other = replace(reference, mixer=mixer, dim=64)
    fitted = fit_width(other, build, *sizes)
    # A feed-forward as narrow as one unit leaves an error of half a unit of each layer.
    unit = 2 * fitted.dim * fitted.layers
    assert count_parameters(build(fitted)) == pytest.approx(sizes, rel=0.02, abs=unit)


@few_examples
@given(config=RECURRENT, dim=st.integers(5, 15))
def test_without_a_feed_forward_the_size_without_embeddings_is_as_close_as_widths_allow(
    config, dim
):
    total, outside = count_parameters(build(TransformerConfig(layers=2, dim=4 * dim)))
    fitted = fit_width(config, build, total, outside)

    def apart(width):
        found = count_parameters(build(replace(config, dim=width)))
        return abs(found[0] / total - 1), abs(found[1] / outside - 1)

    widths = range(max(1, fitted.dim - 20), fitted.dim + 20)  # beyond, no total is within 2%
    within = {
        width: outside for width in widths for total, outside in [apart(width)] if total <= 0.02
    }
    assert within[fitted.dim] == min(within.values())


def test_steps_too_coarse_are_explained():
    config = TransformerConfig(layers=1, heads=64, ff_dim=8)
    with pytest.raises(ValueError, match=r"budget.parameters=50,000: .* a multiple of 64"):
        fit_width(config, build, 50_000)


def test_a_budget_below_the_smallest_model_is_refused():
    with pytest.raises(ValueError, match=r"the nearest is [\d,]+ at model.dim=1\b"):
        fit_width(RecurrentConfig(), build, 10)


def test_counting_allocates_nothing():
    # A trillion parameters: four terabytes.
    fitted = fit_width(TransformerConfig(position="learned"), build, 10**12)
    assert fitted.dim > 100_000
    assert torch.empty(0).device.type == "cpu"  # the default is what it was


@pytest.mark.parametrize("name", HEADED)
@pytest.mark.parametrize("mixer", ["alone", "hybrid"])
def test_a_recurrence_with_heads_fits_a_budget(name, mixer):
    pattern = name if mixer == "alone" else [name, name, "attention"]
    for parameters in (60_000, 800_000):
        config = TransformerConfig(layers=3, heads=4, mixer=pattern)
        fitted = fit_width(config, build, parameters)
        assert built(fitted) == pytest.approx(parameters, rel=0.02)
        assert fitted.dim % 4 == 0
