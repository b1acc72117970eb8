"""Test the table of heads on maps made by hand, whose measures are known."""

import math

import pytest
import torch
from inspected import TEXTS, lstm, randomise, transformer

from minitx.errors import UserError
from minitx.inspection.capture import capture
from minitx.inspection.head_names import head_name
from minitx.inspection.induction import induction_score, repetition_score
from minitx.inspection.measures import measure_heads
from minitx.inspection.weights import AttentionMap

T = 5


def to_previous():
    """Every query attends to the key before it, the first one to itself."""
    return torch.eye(T).roll(-1, dims=1).tril(-1) + torch.eye(T)[:1].T @ torch.eye(T)[:1]


def evenly(causal):
    """Every query attends to all that it may attend to alike."""
    ones = torch.ones(T, T).tril() if causal else torch.ones(T, T)
    return ones / ones.sum(dim=-1, keepdim=True)


def measured(name, *heads, induction=None):
    weights = torch.stack(heads)
    queries, keys = (tuple("abcdefgh"[:n]) for n in weights.shape[1:])
    each = AttentionMap(name, weights, queries, keys, tuple(range(len(heads))))
    return measure_heads([each], induction)


def values(row):
    return row.entropy, row.distance, row.first, row.previous, row.same


def test_perfect_heads_of_a_causal_map():
    to_first = torch.zeros(T, T)
    to_first[:, 0] = 1
    rows = measured("decoder.layers.0.self", to_previous(), torch.eye(T), to_first)
    assert [(row.name, row.head) for row in rows] == [
        ("decoder.layers.0.self", h) for h in (0, 1, 2)
    ]
    previous, same, first = map(values, rows)
    assert previous == (0, 1, pytest.approx(1 / 4), 1, 0)  # first: of queries 1 to 4, query 1
    assert same == (0, 0, 0, 0, 1)
    assert first == (0, pytest.approx((1 + 2 + 3 + 4) / 4), 1, pytest.approx(1 / 4), 0)
    assert {row.induction for row in rows} == {None}


def test_a_head_that_attends_evenly():
    (causal,) = measured("decoder.layers.0.self", evenly(causal=True))
    n = range(2, T + 1)  # keys of the queries that have a choice
    assert values(causal) == pytest.approx(
        (
            sum(map(math.log, n)) / 4,
            sum((m - 1) / 2 for m in n) / 4,
            *[sum(1 / m for m in n) / 4] * 3,
        )
    )
    (both,) = measured("encoder.layers.0.self", evenly(causal=False))
    apart = sum(abs(q - k) for q in range(T) for k in range(T)) / T**2
    assert values(both) == pytest.approx((math.log(T), apart, 1 / T, 1 / T, 1 / T))


def test_an_encoder_counts_its_first_query():
    to_next = torch.eye(T).roll(1, dims=1)  # the last one attends to the first
    (row,) = measured("encoder.layers.0.self", to_next)
    assert values(row) == pytest.approx((0, (4 * 1 + 4) / 5, 1 / 5, 0, 0))


def test_the_next_token_and_breadth():
    to_next = torch.eye(T).roll(1, dims=1)
    row, even = measured("encoder.layers.0.self", to_next, evenly(causal=False))
    assert (row.next, even.next) == (1, pytest.approx(1 / T))
    assert (row.breadth, even.breadth) == (0, pytest.approx(1))
    causal, previous = measured("decoder.layers.0.self", evenly(causal=True), to_previous())
    assert (causal.next, causal.breadth) == (None, pytest.approx(1))
    assert previous.breadth == 0
    # Two of five keys, with equal weights, next to a head that uses all.
    two = torch.zeros(T, T)
    two[:, :2] = 0.5
    row, _ = measured("encoder.layers.0.self", two, evenly(causal=False))
    assert row.breadth == pytest.approx(math.log(2) / math.log(T))
    (cross,) = measured("decoder.cross", torch.full((3, 4), 0.25))
    assert (cross.next, cross.breadth) == (None, pytest.approx(1))


def test_alignment_is_concordance_with_the_diagonal():
    even, backwards = torch.full((5, 5), 0.2), torch.eye(5).flip(1)
    rows = measured("decoder.cross", torch.eye(5), even, backwards)
    assert [row.aligned for row in rows] == pytest.approx([1, 0, -1], abs=1e-6)
    # Two keys for each query, and a last query that attends to nothing.
    weights = torch.zeros(3, 4)
    weights[0, :2] = weights[1, 2:] = 0.5
    (row,) = measured("decoder.cross", weights)
    x, y = torch.tensor([0, 0.5]), torch.tensor([1 / 6, 5 / 6])
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    spread = float(x.var(correction=0) + y.var(correction=0) + (x.mean() - y.mean()) ** 2)
    assert row.aligned == pytest.approx(2 * covariance / spread)
    (single,) = measured("decoder.cross", torch.tensor([[0, 0, 1.0, 0]]))
    assert single.aligned is None
    assert measured("encoder.layers.0.self", torch.eye(5))[0].aligned is None


def test_a_map_between_two_texts_is_measured_as_one_whatever_its_name_is():
    (row,) = measured("blocks.0.attention", torch.full((2, 4), 0.25))
    assert values(row) == (pytest.approx(math.log(4)), None, 0.25, None, None)


def named(name, head, induction=None):
    scores = None if induction is None else {name: torch.tensor([induction])}
    (row,) = measured(name, head, induction=scores)
    return head_name(row, head.shape[-1])


def test_heads_are_named_by_thresholds_on_measures():
    side, to_first = "decoder.layers.0.self", torch.zeros(T, T)
    to_first[:, 0] = 1
    assert named(side, to_previous()) == "previous token"
    assert named(side, to_first) == "first token"
    assert named(side, torch.eye(T)) == "itself"
    assert named("encoder.layers.0.self", torch.eye(T).roll(1, dims=1)) == "next token"
    assert named(side, evenly(causal=True)) == "broad"
    assert named(side, torch.eye(T), induction=0.29) == "itself"
    assert named(side, torch.eye(T), induction=0.31) == "induction"
    half = (to_previous() + torch.eye(T)) / 2  # exactly half is not more than half
    row, _ = measured(side, half, evenly(causal=True))
    assert head_name(row, T) == "mixed"
    row, _ = measured("decoder.cross", torch.eye(3, 6).roll(2, dims=1), torch.ones(3, 6) / 6)
    assert head_name(row, 6) == "focused"
    row, _ = measured("decoder.cross", torch.eye(6), torch.ones(6, 6) / 6)
    assert head_name(row, 6) == "aligned"


def test_a_head_is_not_named_after_an_uninformative_text():
    assert named("decoder.layers.0.self", torch.ones(1, 1)) == ""
    assert named("decoder.layers.0.self", torch.eye(3)) == ""  # too short to tell places apart
    assert named("encoder.layers.0.self", torch.zeros(T, T)) == ""


def test_a_cross_map_has_no_distance():
    weights = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    for name in ("decoder.layers.1.cross", "decoder.cross"):
        (row,) = measured(name, weights)
        assert values(row) == (pytest.approx(math.log(2) / 2), None, 0.75, None, None)
    (square,) = measured("decoder.cross", torch.eye(3))  # as many queries as keys by chance
    assert values(square) == (0, None, pytest.approx(1 / 3), None, None)


def test_queries_that_attend_to_nothing_do_not_count():
    weights = evenly(causal=False)
    weights[3:] = 0
    (row,) = measured("encoder.layers.0.self", weights)
    assert (row.entropy, row.first) == pytest.approx((math.log(T), 1 / T))
    (nothing,) = measured("encoder.layers.0.self", torch.zeros(T, T))
    assert values(nothing) == (None,) * 5


def test_a_text_of_one_token_has_nothing_to_measure():
    (row,) = measured("decoder.layers.0.self", torch.ones(1, 1))
    assert values(row) == (None,) * 5


def test_heads_keep_their_numbers_and_scores():
    name = "decoder.layers.0.self"
    part = AttentionMap(name, torch.eye(3).expand(2, 3, 3), *["abc"] * 2, (3, 1))
    rows = measure_heads([part], {name: torch.tensor([0.0, 0.1, 0.2, 0.3])})
    assert [(row.head, row.induction) for row in rows] == [
        (3, pytest.approx(0.3)),
        (1, pytest.approx(0.1)),
    ]
    assert measure_heads([part], {})[0].induction is None


def test_repetition_of_heads_made_by_hand():
    L = 4
    perfect, previous, even = torch.zeros(3, 2 * L, 2 * L)
    for q in range(2 * L):
        perfect[q, q - L + 1 if q >= L else q] = 1
        previous[q, max(q - 1, 0)] = 1
        even[q, : q + 1] = 1 / (q + 1)
    score = repetition_score(torch.stack([perfect, previous, even])[None], L)
    expected = sum(1 / (q + 1) for q in range(L, 2 * L)) / L
    torch.testing.assert_close(score, torch.tensor([1.0, 0.0, expected]))


def test_the_score_of_a_model_is_the_mean_over_its_second_tokens():
    model = randomise(TEXTS.build(transformer(position="rotary", kv_heads=2)))
    read = []
    model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    scores = induction_score(model, 10, length=6, samples=3)
    (texts,) = read
    with capture(model) as captured:
        model(texts)
    assert texts.shape == (3, 12)
    assert len({tuple(text) for text in texts.tolist()}) == 3
    for name, weights in captured.items():
        expected = torch.zeros(4)
        for text, maps in zip(texts.tolist(), weights, strict=True):
            assert len(set(text)) == 6
            for q in range(6, 12):
                after = text.index(text[q]) + 1  # what followed its first occurrence
                expected += maps[:, q, after] / 18
        torch.testing.assert_close(scores[name], expected)
    again = induction_score(model, 10, length=6, samples=3)
    assert all(torch.equal(scores[name], again[name]) for name in scores)


@pytest.mark.parametrize(
    ("config", "vocab_size", "expected"),
    [
        (transformer(), 10, 8),  # twice in the context of 16
        (transformer(), 5, 5),
        (transformer(window=3), 10, 3),
        (transformer(context=200, position="rotary"), 100, 50),
    ],
)
def test_the_length_is_what_fits(config, vocab_size, expected):
    model = randomise(TEXTS.build(config))
    model.embedding.table = torch.nn.Embedding(100, 8)
    read = []
    model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    induction_score(model, vocab_size, samples=1)
    assert read[0].shape == (1, 2 * expected)
    assert int(read[0].max()) < vocab_size


def test_lengths_that_do_not_fit_and_models_that_do_not_attend():
    model = randomise(TEXTS.build(transformer()))
    for length in (1, 9):
        with pytest.raises(UserError, match=f"^length={length}: .* context of 16"):
            induction_score(model, 10, length=length)
    with pytest.raises(UserError, match="no attention"):
        induction_score(randomise(TEXTS.build(lstm())), 10)
