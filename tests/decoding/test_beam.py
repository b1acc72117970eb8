"""Compare beam search, sampling and greedy search with brute force and a plain search."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minitx.config.schema import RecurrentConfig, TransformerConfig
from minitx.decoding import search
from minitx.decoding.search import ROWS, beam_search, sample
from minitx.models.build import sequence_to_sequence
from minitx.models.seq2seq import Seq2Seq

SOURCE, TARGET = 9, 5  # vocabularies
BOS, EOS = 0, 1
SMALL = {"dim": 8, "layers": 2, "context": 24}

CONFIGS = {
    "sinusoidal": TransformerConfig(**SMALL),
    "rotary": TransformerConfig(**SMALL, position="rotary", kv_heads=2),
    "alibi": TransformerConfig(**SMALL, position="alibi", norm_order="post"),
    "lstm as mixer": TransformerConfig(**SMALL, mixer="lstm"),
    "average": TransformerConfig(**SMALL, mixer="average"),
    "lstm": RecurrentConfig(**SMALL),
    "gru, dot": RecurrentConfig(**SMALL, cell="gru", attention="dot"),
    "lstm, fed": RecurrentConfig(**SMALL, attention="additive", input_feeding=True),
}
every_model = pytest.mark.parametrize("name", CONFIGS)
few_examples = settings(deadline=None, max_examples=6)
alphas = pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def make_model(name, seed=0):
    """With weights so large that it is of many different minds."""
    torch.manual_seed(seed)
    model = sequence_to_sequence(CONFIGS[name], SOURCE, TARGET)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model.eval()


def texts(lengths):
    return [torch.randint(SOURCE, (length,)).tolist() for length in lengths]


class Rereading(Seq2Seq):
    """Keeps no state but the prefix, and reads all of it again at each step."""

    def __init__(self, model):
        nn.Module.__init__(self)
        self.model, self.context, self.to_logits = model, model.context, model.to_logits

    def encode(self, source, padding=None):
        return source, padding

    def decode(self, tokens, memory, state=None):
        prefix = tokens if state is None else torch.cat([state, tokens], dim=1)
        source, padding = (part.repeat_interleave(len(prefix) // len(part), 0) for part in memory)
        return self.model(source, padding, prefix)[:, -1:], prefix


@torch.inference_mode()
def log_probability(model, source, tokens):
    """log p(tokens and the end symbol | source)."""
    target = torch.tensor([[BOS, *tokens, EOS]])
    log_probs = model(torch.tensor([source]), None, target[:, :-1]).log_softmax(dim=-1)
    return log_probs.gather(2, target[:, 1:, None]).sum().item()


def penalised(log_p, tokens, alpha):
    return log_p / ((5 + len(tokens) + 1) / 6) ** alpha


@torch.inference_mode()
def plain_search(model, source, beam, alpha, shortest, longest):
    """Beam search as its definition says, sentence by sentence: no cache, and no early stop."""
    open_, complete = [((), 0.0)], []
    for length in range(longest + 1):
        continued = []
        for tokens, log_p in open_:
            prefix = torch.tensor([[BOS, *tokens]])
            log_probs = model(torch.tensor([source]), None, prefix)[0, -1].log_softmax(dim=-1)
            for token in range(TARGET):
                too_early = token == EOS and length < shortest
                too_late = token != EOS and length == longest
                if not (too_early or too_late):
                    continued.append(((*tokens, token), log_p + log_probs[token].item()))
        continued.sort(key=lambda hypothesis: -hypothesis[1])
        chosen = continued[:beam]
        complete += [(tokens[:-1], log_p) for tokens, log_p in chosen if tokens[-1] == EOS]
        open_ = [(tokens, log_p) for tokens, log_p in chosen if tokens[-1] != EOS]
    scored = [(penalised(log_p, tokens, alpha), tokens) for tokens, log_p in complete]
    return sorted(scored, reverse=True)


def assert_same(found, expected):
    """Both lists of hypotheses: the same tokens, the same scores to 1e-5."""
    assert [hypothesis.tokens for hypothesis in found] == [h.tokens for h in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-5, abs=1e-5)


@alphas
@pytest.mark.parametrize("name", ["sinusoidal", "lstm, fed"])
@pytest.mark.parametrize("shortest", [0, 2])
def test_an_exhaustive_beam_finds_the_true_best(name, alpha, shortest):
    model = make_model(name)
    sources, longest = texts([2, 4]), 3
    found = beam_search(
        model,
        sources,
        BOS,
        EOS,
        beam=TARGET**4,
        n_best=6,
        length_penalty=alpha,
        min_length=shortest,
        max_length=longest,
    )
    words = [token for token in range(TARGET) if token != EOS]
    for source, hypotheses in zip(sources, found, strict=True):
        every = [
            (penalised(log_probability(model, source, tokens), tokens, alpha), list(tokens))
            for length in range(shortest, longest + 1)
            for tokens in itertools.product(words, repeat=length)
        ]
        best = sorted(every, reverse=True)[:6]
        assert [hypothesis.tokens for hypothesis in hypotheses] == [tokens for _, tokens in best]
        scores = [score for score, _ in best]
        assert [h.score for h in hypotheses] == pytest.approx(scores, rel=1e-5)


@alphas
@few_examples
@given(
    name=st.sampled_from(list(CONFIGS)),
    seed=st.integers(0, 1000),
    beam=st.integers(1, 4),
    shortest=st.integers(0, 2),
    more=st.integers(0, 6),
)
def test_it_stops_early_only_if_no_better_output_is_possible(
    name, seed, alpha, beam, shortest, more
):
    model = make_model(name, seed)
    sources = texts([3, 1])
    found = beam_search(
        model,
        sources,
        BOS,
        EOS,
        beam=beam,
        n_best=beam,
        length_penalty=alpha,
        min_length=shortest,
        max_length=shortest + more,
    )
    for source, hypotheses in zip(sources, found, strict=True):
        expected = plain_search(model, source, beam, alpha, shortest, shortest + more)[:beam]
        assert [tuple(hypothesis.tokens) for hypothesis in hypotheses] == [t for _, t in expected]
        scores = [score for score, _ in expected]
        assert [h.score for h in hypotheses] == pytest.approx(scores, rel=1e-4, abs=1e-5)


class Hesitating(nn.Module):
    """Ends at once with probability 0.6; else it goes on, and would end after 8 tokens."""

    context = 100

    def __init__(self):
        super().__init__()
        self.to_logits = nn.Linear(1, 1)
        self.steps = 0

    def encode(self, source, padding):
        return source

    def decode(self, tokens, memory, state):
        past, self.steps = state or 0, self.steps + 1
        end = 0.6 if past == 0 else 0.01 if past < 8 else 0.99
        logits = torch.full((len(tokens), 1, TARGET), -torch.inf)
        logits[..., EOS], logits[..., 2] = math.log(end), math.log(1 - end)
        return logits, past + 1


@pytest.mark.parametrize(
    ("alpha", "longest", "length", "steps"),
    [
        (0.0, 50, 0, 1),  # log 0.4 cannot rise above log 0.6 any more
        (2.0, 9, 8, 9),  # but, divided by what a long output is divided by, it can
        (2.0, 1, 0, 1),  # if a long one is allowed
    ],
)
def test_it_stops_as_soon_as_no_better_output_is_possible(alpha, longest, length, steps):
    model = Hesitating()
    ((best,),) = beam_search(
        model, [[2]], BOS, EOS, beam=2, length_penalty=alpha, max_length=longest
    )
    assert best.tokens == [2] * length
    log_p = math.log(0.4) + 8 * math.log(0.99) if length else math.log(0.6)
    assert best.score == pytest.approx(penalised(log_p, best.tokens, alpha))
    assert model.steps == steps


@every_model
@alphas
def test_a_beam_of_one_is_greedy_search(name, alpha):
    model = make_model(name)
    sources = texts([4, 1, 3, 3, 6])
    found = beam_search(model, sources, BOS, EOS, beam=1, length_penalty=alpha)
    greedy = sample(model, sources, BOS, EOS, torch.Generator(), temperature=0)
    for (best,), expected in zip(found, greedy, strict=True):
        assert best.tokens == expected.tokens
        assert best.score == pytest.approx(penalised(expected.score, expected.tokens, alpha))


@every_model
def test_cached_is_uncached(name):
    model = make_model(name)
    sources = texts([4, 1, 3])
    settings = {"beam": 3, "n_best": 3, "max_length": 8}
    found = beam_search(model, sources, BOS, EOS, **settings)
    expected = beam_search(Rereading(model), sources, BOS, EOS, **settings)
    for hypotheses, others in zip(found, expected, strict=True):
        assert_same(hypotheses, others)


@every_model
@few_examples
@given(lengths=lengths, size=st.integers(1, 3))
def test_neither_company_nor_padding_changes_anything(name, lengths, size):
    model = make_model(name)
    sources = texts(lengths)
    together = beam_search(model, sources, BOS, EOS, beam=3, n_best=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "ROWS", 3 * size)  # batches of `size` sentences
        in_batches = beam_search(model, sources, BOS, EOS, beam=3, n_best=3)
    for source, hypotheses, others in zip(sources, together, in_batches, strict=True):
        assert_same(hypotheses, others)
        assert_same(hypotheses, beam_search(model, [source], BOS, EOS, beam=3, n_best=3)[0])


@every_model
def test_scores_are_the_models_own(name):
    model = make_model(name)
    sources = texts([4, 2])
    found = beam_search(model, sources, BOS, EOS, beam=4, n_best=4, length_penalty=0.8)
    drawn = sample(model, sources, BOS, EOS, torch.Generator().manual_seed(0), temperature=1.5)
    for source, hypotheses, one in zip(sources, found, drawn, strict=True):
        for tokens, score in hypotheses:
            log_p = log_probability(model, source, tokens)
            assert score == pytest.approx(penalised(log_p, tokens, 0.8), rel=1e-4)
        assert one.score == pytest.approx(log_probability(model, source, one.tokens), rel=1e-4)


@few_examples
@given(
    seed=st.integers(0, 1000), lengths=lengths, shortest=st.integers(0, 4), more=st.integers(0, 4)
)
def test_what_every_list_of_hypotheses_is(seed, lengths, shortest, more):
    model = make_model("rotary", seed)
    limits = {"min_length": shortest, "max_length": shortest + more}
    sources = texts(lengths)
    found = beam_search(model, sources, BOS, EOS, beam=4, n_best=3, **limits)
    drawn = sample(model, sources, BOS, EOS, torch.Generator(), **limits)
    assert len(found) == len(drawn) == len(sources)
    for hypotheses, one in zip(found, drawn, strict=True):
        assert 1 <= len(hypotheses) <= 3
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert all(map(math.isfinite, scores))
        assert len({tuple(hypothesis.tokens) for hypothesis in hypotheses}) == len(hypotheses)
        for tokens, _ in [*hypotheses, one]:
            assert EOS not in tokens
            assert shortest <= len(tokens) <= shortest + more


def test_outputs_are_at_most_twice_as_long_as_their_source_and_ten_more():
    model = make_model("lstm")
    model.to_logits = nn.Linear(8, TARGET)
    nn.init.zeros_(model.to_logits.weight)
    model.to_logits.bias.data = torch.tensor([0.0, -50.0, 1.0, 0.0, 0.0])  # it never wants to end
    found = beam_search(model, texts([1, 4, 6]), BOS, EOS, beam=2, length_penalty=0.0)
    assert [len(best.tokens) for (best,) in found] == [12, 18, 22]
    longest = SMALL["context"] - 1
    ((best,),) = beam_search(model, texts([20]), BOS, EOS)
    assert len(best.tokens) == longest
    ((best,),) = beam_search(model, texts([1]), BOS, EOS, min_length=longest)
    assert len(best.tokens) == longest


def test_samples_follow_the_models_distribution():
    model = make_model("sinusoidal")
    source, number = texts([3])[0], 4000
    generator = torch.Generator().manual_seed(0)
    drawn = sample(model, [source] * number, BOS, EOS, generator, max_length=1)
    probabilities = model(torch.tensor([source]), None, torch.tensor([[BOS]]))[0, 0].softmax(-1)
    for token in range(TARGET):
        expected = probabilities[token].item()
        tokens = [] if token == EOS else [token]
        share = sum(one.tokens == tokens for one in drawn) / number
        assert share == pytest.approx(expected, abs=4 * math.sqrt(expected / number) + 1e-3)


def test_the_same_seed_draws_the_same():
    model, sources = make_model("gru, dot"), texts([3, 5, 1])
    one, same = (
        sample(model, sources, BOS, EOS, torch.Generator().manual_seed(7), top_k=3, top_p=0.9)
        for _ in range(2)
    )
    assert one == same


def test_no_sources_give_no_outputs():
    model = make_model("lstm")
    assert beam_search(model, [], BOS, EOS) == []
    assert sample(model, [], BOS, EOS, torch.Generator()) == []


def test_a_beam_wider_than_a_batch_takes_a_sentence_at_a_time():
    model, sources = make_model("lstm"), texts([2, 3])
    found = beam_search(model, sources, BOS, EOS, beam=ROWS + 1, max_length=2)
    assert [len(hypotheses) for hypotheses in found] == [1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "n_best=1, beam=0"),
        ({"n_best": 0}, "n_best=0, beam=5"),
        ({"n_best": 6}, "n_best=6, beam=5"),
        ({"length_penalty": -0.5}, "length_penalty=-0.5"),
        ({"min_length": -1}, "min_length=-1"),
        ({"min_length": 3, "max_length": 2}, "min_length=3: .* at most 2"),
        ({"min_length": 24}, "min_length=24: .* at most 23"),
        ({"max_length": 24}, "max_length=24: the model's context leaves room for 23"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        beam_search(make_model("lstm"), texts([2]), BOS, EOS, **settings)


def test_an_empty_source_is_refused():
    with pytest.raises(ValueError, match=r"sources\[1\] is empty"):
        beam_search(make_model("lstm"), [[3], []], BOS, EOS)


EXCLUDED = (BOS, 3)


@pytest.mark.parametrize("shortest", [0, 1])
def test_excluded_tokens_are_in_no_output_and_change_no_score(shortest):
    model = make_model("sinusoidal")
    sources, settings = texts([2, 4]), {"beam": TARGET**3, "min_length": shortest}
    every = beam_search(model, sources, BOS, EOS, n_best=13, max_length=2, **settings)
    kept = 6 + (shortest == 0)  # outputs of two tokens that are left: 2 + 4, and the empty one
    found = beam_search(
        model, sources, BOS, EOS, n_best=kept, max_length=2, excluded=EXCLUDED, **settings
    )
    for hypotheses, others in zip(found, every, strict=True):
        assert len(hypotheses) == kept
        assert len({tuple(hypothesis.tokens) for hypothesis in hypotheses}) == kept
        assert not {token for h in hypotheses for token in h.tokens} & {*EXCLUDED}
        scores = {tuple(h.tokens): h.score for h in others}
        for tokens, score in hypotheses:
            if tuple(tokens) in scores:
                assert score == pytest.approx(scores[tuple(tokens)], rel=1e-5)


def test_excluded_tokens_are_never_drawn():
    model, generator = make_model("lstm"), torch.Generator().manual_seed(0)
    model.to_logits = nn.Linear(8, TARGET)
    nn.init.zeros_(model.to_logits.weight)
    model.to_logits.bias.data = torch.tensor([0.0, 0.0, 0.0, 50.0, 0.0])  # it wants to write 3
    settings = {"max_length": 3, "excluded": EXCLUDED}
    drawn = sample(model, texts([3] * 200), BOS, EOS, generator, temperature=2.0, **settings)
    assert {token for one in drawn for token in one.tokens} == {2, 4}
    greedy = sample(model, texts([3]), BOS, EOS, generator, temperature=0, **settings)
    assert not {*greedy[0].tokens} & {*EXCLUDED}


@pytest.mark.parametrize(
    ("limits", "possible"),
    [
        ({"max_length": 1}, 5),
        ({"max_length": 1, "min_length": 1}, 4),
        ({"max_length": 1, "excluded": EXCLUDED}, 3),
        ({"max_length": 2, "excluded": EXCLUDED}, 7),
        ({"max_length": 0}, 1),
    ],
)
def test_there_are_as_many_hypotheses_as_asked_for_if_they_exist(limits, possible):
    model, sources = make_model("gru, dot"), texts([2, 4])
    for n_best in (1, possible, 20):
        found = beam_search(model, sources, BOS, EOS, beam=20, n_best=n_best, **limits)
        assert [len(hypotheses) for hypotheses in found] == [min(n_best, possible)] * 2
