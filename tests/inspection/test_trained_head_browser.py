"""Test the page of a trained head in a real browser: it has the numbers of the model."""

import pytest
import torch
from browsers import needs_browser
from inspected import LABELLED, PAIRS, TEXTS, lstm, make_run, transformer
from playground_numbers import assert_close, numbers, texts, variances

from minitx.inspection.capture import find_attention
from minitx.inspection.explain import explain_head
from minitx.inspection.model_inputs import read_passage
from minitx.inspection.steps import steps_of
from minitx.inspection.tables_html import to_html

pytestmark = needs_browser

RUNS = {
    "rotary": (TEXTS, transformer(position="rotary", dim=16), "abc hag fed", None, 3),
    "alibi, window": (TEXTS, transformer(position="alibi", window=3), "abc hag fed", None, 1),
    "unscaled": (TEXTS, transformer(scaled=False), "abc", None, 0),
    "classifier": (LABELLED, transformer(), "one two five", None, 2),
    "cross, shared keys": (PAIRS, transformer(kv_heads=2, bias=False), "abcdefgh", "cross", 3),
    "recurrent": (PAIRS, lstm(attention="dot", input_feeding=True), "abcdefgh", "cross", 0),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_trained_head_has_the_numbers_that_the_model_computed(name, playground):
    vocabulary, config, text, part, head = RUNS[name]
    run = make_run(vocabulary, config)
    page = explain_head(run, text, part=part, layer=0, head=head, truncate=False)
    attention = find_attention(run.model)[page.sections[0].title.split(",")[0]]
    passage = read_passage(run, text)
    steps = steps_of(attention, lambda: passage.read_by(run.model))
    opened = playground(to_html(page))
    for each in dict.fromkeys((head, 0)):
        if each != head:
            opened.locator(f"[name=head][value='{each}']").check(force=True)
        for table in ("queries", "keys", "values"):
            assert_close(numbers(opened, table[0]), getattr(steps, table)[each][:, :8])
        for table in ("scores", "weights"):
            shown, expected = numbers(opened, f"{table[0]}0"), getattr(steps, table)
            assert_close(shown, expected[each], atol=1e-5, rtol=1e-5)  # those are of float32
        assert_close(numbers(opened, "y"), steps.outputs[each], atol=1e-5, rtol=1e-5)
    switch = opened.get_by_label("Divide scores")
    assert switch.is_checked() == (name != "unscaled")
    switch.set_checked(name == "unscaled")
    q, k = (part[0].double() for part in (steps.queries, steps.keys))
    if "alibi" not in name:
        scale = q.size(-1) ** -0.5 if name == "unscaled" else 1
        weights = (q @ k.T * scale).masked_fill(~steps.allowed[0], -torch.inf).softmax(-1)
        assert_close(numbers(opened, "w0"), weights)


def test_a_long_text_is_computed_in_full_and_shown_in_part(playground):
    run, text = make_run(TEXTS, transformer(dim=40)), "abcdefghabcdefgh"
    page = explain_head(run, text, part=None, layer=0, head=2, truncate=False)
    attention, passage = find_attention(run.model)["decoder.layers.0.self"], read_passage(run, text)
    steps = steps_of(attention, lambda: passage.read_by(run.model))
    opened = playground(to_html(page))
    shown = [*range(6), *range(10, 16)]
    cells = opened.evaluate(
        "[...document.querySelectorAll('[data-name=w0] [data-value]')].map((c) => +c.dataset.value)"
    )
    weights = torch.tensor(cells, dtype=torch.float64).view(12, 12)
    assert_close(weights, steps.weights[2][shown][:, shown], atol=1e-5, rtol=1e-5)
    assert set(texts(opened, "w0", "td.sum")) == {"1.0000", "…"}
    products = (steps.queries[2] @ steps.keys[2].T)[steps.allowed[2]]
    assert variances(opened)[0] == pytest.approx(float(products.var(correction=0)), rel=5e-3)
    assert "2 more" in opened.locator(".products").inner_text()  # of 10 features


def test_additive_attention_keeps_its_tables():
    run = make_run(PAIRS, lstm(attention="additive"))
    page = explain_head(run, "abc", part=None, layer=0, head=0, truncate=False)
    assert page.scene is None
    assert "<table" in to_html(page)
