"""Test sampling: which tokens are drawn, how often, and equal texts with and without a cache."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from model_kinds import CONFIGS, CONTEXT, VOCAB, make_model
from torch import nn

from minitx.decoding.sampling import filter_logits, generate, sample_token
from minitx.models.language_model import LanguageModelState

every_model = pytest.mark.parametrize("name", CONFIGS)
few_examples = settings(deadline=None, max_examples=50)

# Few values, so that there are ties.
LOGITS = st.lists(st.integers(-12, 12).map(lambda n: n / 4), min_size=1, max_size=8)


def kept(logits, top_k=None, top_p=None):
    """Indices of the tokens that remain; the others are at -inf, these unchanged."""
    before = torch.tensor(logits)
    after = filter_logits(before[None], top_k, top_p)[0]
    remain = after > -math.inf
    assert torch.equal(after[remain], before[remain])
    return set(remain.nonzero().flatten().tolist())


def likeliest_k(logits, k):
    """Those with fewer than k likelier ones: with ties at the border, all of them."""
    return {i for i, x in enumerate(logits) if sum(other > x for other in logits) < k}


def nucleus(logits, p, among):
    """Token by token from the likeliest, until they have p of the mass; ties in order."""
    total = sum(math.exp(logits[i]) for i in among)
    chosen, mass = set(), 0.0
    for i in sorted(among, key=lambda i: (-logits[i], i)):
        if mass >= p:
            break
        assume(abs(mass - p) > 1e-5)  # there, rounding decides
        chosen.add(i)
        mass += math.exp(logits[i]) / total
    return chosen


@few_examples
@given(logits=LOGITS, k=st.integers(1, 10))
def test_top_k(logits, k):
    assert kept(logits, top_k=k) == likeliest_k(logits, k)


@few_examples
@given(logits=LOGITS, p=st.floats(0.001, 0.999), k=st.none() | st.integers(1, 10))
def test_top_p_of_what_top_k_left(logits, p, k):
    among = set(range(len(logits))) if k is None else likeliest_k(logits, k)
    assert kept(logits, top_k=k, top_p=p) == nucleus(logits, p, among)


@few_examples
@given(logits=LOGITS, k=st.integers(1, 3), p=st.floats(1e-9, 1))
def test_the_likeliest_always_stays(logits, k, p):
    assert logits.index(max(logits)) in kept(logits, top_k=k, top_p=p)


def test_top_p_of_one_keeps_all():
    assert kept([50.0, 0.0, -50.0], top_p=1.0) == {0, 1, 2}  # though 1 + e^-50 rounds to 1


def test_rows_are_filtered_each_on_its_own():
    logits = torch.randn(3, 5, VOCAB)
    filtered = filter_logits(logits, 4, 0.7)
    for row, expected in zip(logits.flatten(0, 1), filtered.flatten(0, 1), strict=True):
        assert torch.equal(filter_logits(row, 4, 0.7), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 0}, "top_k=0: keep at least 1"),
        ({"top_p": 0.0}, "top_p=0.0: it must be above 0"),
        ({"top_p": 1.5}, "top_p=1.5: it must be above 0 and at most 1"),
        ({"temperature": -0.1}, "temperature=-0.1: it may not be negative"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sample_token(torch.zeros(1, 3), torch.Generator(), **settings)


@pytest.mark.parametrize("temperature", [0, 1e-39, 1e-320, 1e-31, 1e-29])
def test_temperature_zero_takes_the_best_and_so_does_almost_zero(temperature):
    logits = 100 * torch.randn(20, VOCAB)
    drawn = sample_token(logits, torch.Generator(), temperature)
    assert torch.equal(drawn, logits.argmax(dim=-1))


@given(logits=LOGITS, seed=st.integers(0, 2**32))
def test_the_draw_is_that_of_multinomial(logits, seed):
    probabilities = torch.tensor([logits]).softmax(dim=-1)
    expected = torch.multinomial(probabilities, 1, generator=torch.Generator().manual_seed(seed))
    drawn = sample_token(torch.tensor([logits]), torch.Generator().manual_seed(seed))
    assert torch.equal(drawn, expected[:, 0])


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [({}, 6), ({"temperature": 0.5}, 6), ({"temperature": 3.0}, 6), ({"top_k": 3}, 3)],
)
def test_draws_come_as_often_as_they_are_likely(settings, allowed):
    draws, logits = 20_000, torch.tensor([2.0, 1.5, 1.0, 0.5, 0.0, -0.5])
    generator = torch.Generator().manual_seed(0)
    tokens = sample_token(logits.expand(draws, -1), generator, **settings)
    found = tokens.bincount(minlength=6).tolist()
    odds = [math.exp(x / settings.get("temperature", 1)) for x in logits.tolist()[:allowed]]
    expected = [draws * x / sum(odds) for x in odds]
    assert sum(found[allowed:]) == 0
    chi_square = sum((f - e) ** 2 / e for f, e in zip(found, expected, strict=False))
    assert chi_square < 30  # of 5 degrees of freedom: by chance once in 65,000 times


def text(model, prompt, length, **settings):
    generator = torch.Generator().manual_seed(0)
    return [token.tolist() for token in generate(model, prompt, length, generator, **settings)]


@every_model
@pytest.mark.parametrize("prompt", [1, 5, CONTEXT, CONTEXT + 5])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_cache_changes_no_token(name, prompt, temperature):
    model, tokens = make_model(name), torch.randint(VOCAB, (3, prompt))
    cached, uncached = (
        text(model, tokens, 2 * CONTEXT + 3, temperature=temperature, cached=cached)
        for cached in (True, False)
    )
    assert cached == uncached


@every_model
def test_rows_do_not_affect_each_other(name):
    model, tokens = make_model(name), torch.randint(VOCAB, (4, 3))
    together = text(model, tokens, 2 * CONTEXT, temperature=0)
    alone = [text(model, row[None], 2 * CONTEXT, temperature=0) for row in tokens]
    assert together == [[row[step][0] for row in alone] for step in range(2 * CONTEXT)]


@every_model
def test_text_is_the_models_own_favourite(name):
    model, tokens = make_model(name), torch.randint(VOCAB, (1, 2))
    for token in text(model, tokens, CONTEXT - 2, temperature=0):
        logits, _ = model(tokens)
        assert token == logits[:, -1].argmax(dim=-1).tolist()
        tokens = torch.cat([tokens, torch.tensor([token])], dim=1)


class Spy(nn.Module):
    """Notes all that a model is shown: the tokens of each call, and those of the state before."""

    def __init__(self, context):
        super().__init__()
        self.context = context
        self.seen = []

    def forward(self, tokens, padding=None, state=None):
        seen = tokens if state is None else torch.cat([state.backbone, tokens], dim=1)
        self.seen.append(seen[0].tolist())
        logits = torch.randn(*tokens.shape, VOCAB)
        return logits, LanguageModelState(seen.size(1), seen)


@few_examples
@given(
    context=st.integers(1, 9),
    prompt=st.integers(1, 20),
    length=st.integers(0, 30),
    cached=st.booleans(),
)
def test_the_model_sees_the_latest_tokens_and_never_more_than_its_context(
    context, prompt, length, cached
):
    model, tokens = Spy(context), torch.randint(VOCAB, (1, prompt))
    whole = tokens[0].tolist() + [token for (token,) in text(model, tokens, length, cached=cached)]
    assert len(whole) == prompt + length
    assert len(model.seen) == length  # one call for each token
    for end, seen in enumerate(model.seen, start=prompt):
        assert whole[:end][-len(seen) :] == seen
        assert min(end, context // 2 + 1) <= len(seen) <= context


def test_settings_are_checked_in_generate_too():
    with pytest.raises(ValueError, match="top_k=0"):
        text(make_model("recipe"), torch.zeros(1, 1, dtype=torch.long), 1, top_k=0)


def test_no_gradients_are_kept():
    model = make_model("recipe")
    prompt = torch.zeros(1, 1, dtype=torch.long)
    tokens = list(generate(model, prompt, 2, torch.Generator()))
    assert all(token.is_inference() for token in tokens)
    assert torch.is_grad_enabled()
