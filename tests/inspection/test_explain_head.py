"""Test the tables of a head: they show the model's own numbers, and errors are clear."""

import math
from functools import partial

import pytest
import torch
from inspected import LABELLED, PAIRS, TEXTS, lstm, make_run, transformer

from minitx.commands.explain import page_for
from minitx.config.schema import ExplainConfig
from minitx.errors import UserError
from minitx.inspection.capture import find_attention
from minitx.inspection.explain import explain_head
from minitx.inspection.model_inputs import read_passage
from minitx.inspection.reading import attention as attention_maps
from minitx.inspection.tables import labels_of
from minitx.nn.attention import MultiHeadAttention

assert_close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)

TEXT = {TEXTS: "abc hag fed.", PAIRS: "abcdefgh", LABELLED: "one two five two six"}

RUNS = {
    "language model": (TEXTS, transformer()),
    "language model, rotary, normed": (TEXTS, transformer(position="rotary", qk_norm=True)),
    "language model, alibi, window": (TEXTS, transformer(position="alibi", window=3)),
    "language model, unscaled": (TEXTS, transformer(scaled=False)),
    "classifier": (LABELLED, transformer()),
    "pairs": (PAIRS, transformer(kv_heads=2, bias=False)),
    "pairs, additive": (PAIRS, lstm(attention="additive")),
    "pairs, dot, fed": (PAIRS, lstm(attention="dot", input_feeding=True)),
}


def explained(run, text, part=None, layer=0, head=0, truncate=False):
    (section,) = explain_head(
        run, text, part=part, layer=layer, head=head, truncate=truncate
    ).sections
    return section


def tables_of(section):
    return {table.name: table for step in section.steps for table in step.tables}


def own_output(run, name, text):
    """What the heads of an attention gave side by side, taken where it is read: (Q, C)."""
    attention, kept = find_attention(run.model)[name], []
    reader = attention.output if isinstance(attention, MultiHeadAttention) else attention.combine
    with reader.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0][0])):
        passage = read_passage(run, text)
        kept.clear()  # of the search for an output
        with torch.no_grad():
            if passage.target_in is None:
                run.model(passage.source.ids)
            else:
                run.model(passage.source.ids, None, passage.target_in.ids)
    return torch.cat(kept)


@pytest.mark.parametrize("name", RUNS)
def test_tables_are_what_the_model_computed(name):
    vocabulary, config = RUNS[name]
    run, text = make_run(vocabulary, config), TEXT[vocabulary]
    maps = attention_maps(run, text).maps
    for each in maps:
        layer = int(each.name.split(".")[2]) if "layers" in each.name else 0
        joined = own_output(run, each.name, text)
        for head in each.heads:
            section = explained(run, text, each.kind, layer, head)
            assert section.title == f"{each.name}, head {head}"
            q, k, v, s, w, y = (tables_of(section)[name] for name in "qkvswy")
            assert tuple(q.rows) == tuple(w.rows) == tuple(labels_of(each.queries))
            assert tuple(k.rows) == tuple(v.rows) == tuple(labels_of(each.keys))
            assert s.columns == w.columns == k.rows
            # To rounding, as here the other layers take the fused path.
            assert_close(w.values, each.weights[head])
            width = y.values.size(1)
            assert_close(y.values, joined[:, head * width : (head + 1) * width])
            assert y.first == head * width + 1
            assert_close(w.values.sum(dim=1), torch.ones(len(each.queries)))
            assert not w.values[~w.allowed].any()
    assert maps


def test_the_first_part_is_the_default():
    titles = {name: explained(make_run(*RUNS[name]), TEXT[RUNS[name][0]]).title for name in RUNS}
    assert titles["language model"] == "decoder.layers.0.self, head 0"
    assert titles["classifier"] == "encoder.layers.0.self, head 0"
    assert titles["pairs"] == "encoder.layers.0.self, head 0"
    assert titles["pairs, additive"] == "decoder.cross, head 0"


def test_self_is_the_only_self_attention():
    for name in ("language model", "classifier"):
        run, text = make_run(*RUNS[name]), TEXT[RUNS[name][0]]
        assert explained(run, text, "self").title == explained(run, text).title


def notes(name, **chosen):
    section = explained(make_run(*RUNS[name]), TEXT[RUNS[name][0]], **chosen)
    return " ".join(section.notes), [step.formulas for step in section.steps]


def test_formulas_say_what_the_model_has():
    said, formulas = notes("language model")
    assert formulas[0] == ("q = x Wq + bq", "k = x Wk + bk", "v = x Wv + bv")
    assert formulas[1] == ["s = q k^T / sqrt(2)"]
    assert "causal" in said
    for missing in ("rotary", "ALiBi", "rmsnorm", "window", "share"):
        assert missing not in said

    said, formulas = notes("language model, rotary, normed")
    assert formulas[0] == ("q = R rmsnorm(x Wq + bq)", "k = R rmsnorm(x Wk + bk)", "v = x Wv + bv")
    assert "rotary" in said
    assert "normalised" in said

    said, formulas = notes("language model, alibi, window", head=1)
    assert formulas[1] == ["s = q k^T / sqrt(2) - 0.0625 |i - j|"]  # 2^(-8 * 2 / 4)
    assert "3 or more away" in said

    said, formulas = notes("language model, unscaled")
    assert formulas[1] == ["s = q k^T"]
    assert "not scaled" in said

    said, formulas = notes("pairs", part="cross", head=1)
    assert formulas[0] == ("q = x Wq", "k = m Wk", "v = m Wv")
    assert "Heads 0 to 1 share" in said
    assert "causal" not in said

    assert "causal" in notes("pairs", part="decoder")[0]
    assert "causal" not in notes("pairs", part="encoder")[0]
    assert "causal" not in notes("classifier")[0]

    _, formulas = notes("pairs, additive")
    assert formulas[0] == ("q = h Wq", "k = m Wk + bk", "v = m")
    assert formulas[1] == ["s = u . tanh(q + k)"]
    _, formulas = notes("pairs, dot, fed")
    assert formulas[0] == ("q = h", "k = m Wk + bk", "v = m")
    assert formulas[1] == ["s = q k^T / sqrt(8)"]


def test_shared_keys_keep_their_own_numbers():
    """Heads 2 and 3 read features 3 and 4 of keys and values that are four wide."""
    found = tables_of(explained(make_run(*RUNS["pairs"]), TEXT[PAIRS], "cross", head=3))
    assert [found[name].first for name in "qkvy"] == [7, 3, 3, 7]


@pytest.mark.parametrize("name", RUNS)
def test_what_is_worked_out_is_right(name):
    """Sums of few terms are calculated again; a score is one of two products for every head."""
    run = make_run(*RUNS[name])
    section = explained(run, TEXT[RUNS[name][0]][:3], head=0)
    lines = [line for step in section.steps for line in step.worked if "more" not in line]
    assert len(lines) >= (2 if "pairs, " in name else 3)
    for line in lines:
        _, calculation, result = line.split(" = ")
        calculation = calculation.replace("e^", "E**")
        assert eval(calculation, {"E": math.e, "sqrt": math.sqrt}) == pytest.approx(
            float(result), rel=2e-3, abs=2e-3
        ), line


def test_equal_tokens_are_distinguished():
    section = explained(make_run(*RUNS["language model"]), "abab")
    (line,) = section.steps[1].worked
    assert line.startswith(
        ("s[b (4), a (1)]", "s[b (4), b (2)]", "s[b (4), a (3)]", "s[b (4), b (4)]")
    )


def test_a_note_says_that_not_all_is_shown():
    run = make_run(TEXTS, transformer(dim=40))
    said = " ".join(explained(run, "abcdefghabcdefgh").notes)
    assert "Of 16 queries and 16 keys the first 6 and the last 6 are shown." in said
    assert "Of 10 features of the head the first 8 are shown." in said
    assert "are shown" not in " ".join(explained(run, "abc").notes[:-1])


def test_a_text_may_be_cut():
    run = make_run(*RUNS["language model"])
    with pytest.raises(UserError, match=r"20 tokens.*reads 16.*truncate=true"):
        explained(run, "a" * 20)
    section = explained(run, "a" * 20, truncate=True)
    assert len(tables_of(section)["q"].rows) == 16
    assert "the first 16 tokens of 20" in section.notes[0]


REFUSED = {
    "layer too high": ("language model", {"layer": 2}, "layer=2: .* layers 0 to 1"),
    "layer below zero": ("language model", {"layer": -1}, "layer=-1: .* layers 0 to 1"),
    "head too high": ("language model", {"head": 4}, "head=4: .*self has heads 0 to 3"),
    "head below zero": ("language model", {"head": -1}, "head=-1: .* heads 0 to 3"),
    "the one head": ("pairs, additive", {"head": 1}, "head=1: decoder.cross has only head 0"),
    "the one layer": ("pairs, additive", {"layer": 1}, "layer=1: .* only layer 0"),
    "no encoder": ("language model", {"part": "encoder"}, "part=encoder: this model has decoder"),
    "no cross": ("classifier", {"part": "cross"}, "part=cross: this model has encoder"),
    "two of self": (
        "pairs",
        {"part": "self"},
        "part=self: this model has encoder or decoder or cross",
    ),
    "no self": ("pairs, additive", {"part": "self"}, "part=self: this model has cross"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_there_is_refused(case):
    name, chosen, said = REFUSED[case]
    with pytest.raises(UserError, match=said) as error:
        explained(make_run(*RUNS[name]), TEXT[RUNS[name][0]], **chosen)
    assert "\n" not in str(error.value)


def test_the_layers_of_a_hybrid_keep_their_numbers():
    run = make_run(TEXTS, transformer(layers=4, mixer=["gru", "attention"]))
    page = explained(run, "abc", layer=3)
    assert page.title == "decoder.layers.3.self, head 0"
    with pytest.raises(UserError, match="layer=0: the model's decoder has layers 1, 3"):
        explained(run, "abc", layer=0)


@pytest.mark.parametrize("config", [lstm(), transformer(mixer="lstm"), transformer(mixer="none")])
def test_a_model_without_attention_is_an_error(config):
    with pytest.raises(UserError, match="no attention"):
        explained(make_run(TEXTS, config), "abc")


@pytest.mark.parametrize("name", ["text", "part", "layer", "head"])
def test_what_is_of_a_run_needs_one(name):
    value = {"text": "abc", "part": "self"}.get(name, 0)
    with pytest.raises(UserError, match=f"{name}= is for a trained model: set run="):
        page_for(ExplainConfig(**{name: value}))


def test_a_run_needs_a_text():
    with pytest.raises(UserError, match="no text given"):
        page_for(ExplainConfig(run="somewhere"))
