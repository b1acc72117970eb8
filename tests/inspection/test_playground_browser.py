"""Test the page of `minitx explain` in a real browser: its numbers are those of torch."""

import re

import pytest
import torch
import torch.nn.functional as F
from browsers import needs_browser
from playground_numbers import assert_close, card, numbers, texts, variances

from minitx.inspection.tables_html import to_html
from minitx.inspection.tutorial import W_KEY, W_QUERY, W_VALUE, X, tutorial

pytestmark = needs_browser

MATRICES = {"Wq": W_QUERY, "Wk": W_KEY, "Wv": W_VALUE}
TUTORIAL = to_html(tutorial())


def matrices(opened):
    read = """(name) => [...document.querySelectorAll(`[data-name=${name}] tbody tr`)].map((row) =>
                [...row.querySelectorAll("input")].map((input) => input.valueAsNumber))"""
    return {
        name: torch.tensor(opened.evaluate(read, name), dtype=torch.float64) for name in MATRICES
    }


def assert_is_attention(opened, heads=1, scaled=True, causal=False, temperature=1.0):
    """All numbers of the page follow from its rows x and its matrices, as torch computes them."""
    x = numbers(opened, "x")
    q, k, v = (x @ matrix for matrix in matrices(opened).values())
    for name, expected in (("q", q), ("k", k), ("v", v)):
        assert_close(numbers(opened, name), expected)
    split = [rows.unflatten(1, (heads, -1)).transpose(0, 1) for rows in (q, k, v)]  # (H, T, D)
    scale = split[0].size(-1) ** -0.5 if scaled else 1.0
    allowed = torch.ones(len(x), len(x), dtype=torch.bool)
    allowed = allowed.tril() if causal else allowed
    scores = split[0] @ split[1].mT * scale
    weights = (scores / temperature).masked_fill(~allowed, -torch.inf).softmax(-1)
    for head in range(heads):
        assert_close(numbers(opened, f"s{head}"), scores[head])
        assert_close(numbers(opened, f"w{head}"), weights[head])
    y = F.scaled_dot_product_attention(*split, attn_mask=allowed, scale=scale / temperature)
    assert_close(numbers(opened, "y"), y.transpose(0, 1).flatten(1))
    return scores, weights


def test_the_example_is_that_of_the_tables(playground):
    opened = playground(TUTORIAL)
    assert_close(numbers(opened, "x"), X)
    for name, matrix in matrices(opened).items():
        assert_close(matrix, MATRICES[name])
    assert_is_attention(opened)
    variance = float(((X @ W_QUERY) @ (X @ W_KEY).T).var(correction=0))
    assert variances(opened) == pytest.approx([variance, variance / 4], rel=5e-3)


def test_every_switch_changes_the_numbers(playground):
    opened = playground(TUTORIAL)
    opened.get_by_label("Divide scores").uncheck()
    assert_is_attention(opened, scaled=False)
    opened.get_by_label("Causal mask").check()
    _, weights = assert_is_attention(opened, scaled=False, causal=True)
    assert weights[0, 0].tolist() == [1, 0, 0]
    opened.get_by_label("Temperature").fill("2.5")
    assert_is_attention(opened, scaled=False, causal=True, temperature=2.5)
    opened.get_by_label("Divide scores").check()
    for heads in (2, 4):
        opened.locator(f"[name=heads][value='{heads}']").check(force=True)
        assert_is_attention(opened, heads, causal=True, temperature=2.5)


def test_entries_can_be_typed_dragged_and_changed_with_keys(playground):
    opened = playground(TUTORIAL)
    entry = opened.get_by_label("Wk, row 2, column 4")
    entry.fill("-1.25")
    assert float(matrices(opened)["Wk"][1, 3]) == -1.25
    assert_is_attention(opened)

    box = opened.get_by_label("Wq, row 1, column 1").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 60, y, steps=3)
    opened.mouse.up()
    opened.mouse.move(x, y)  # no longer held
    assert float(matrices(opened)["Wq"][0, 0]) == 2.5  # 60 pixels are 15 steps
    assert_is_attention(opened)

    opened.get_by_label("Wv, row 1, column 1").focus()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowUp")
    assert float(matrices(opened)["Wv"][0, 1]) == 0.1
    assert_is_attention(opened)

    entry.fill("")  # while another number is typed
    assert float(numbers(opened, "k")[1, 3]) == -1.25 - 1  # with the entry before
    opened.get_by_role("button", name="Reset").click()
    assert_is_attention(opened)
    assert_close(matrices(opened)["Wk"], W_KEY)


def test_another_sentence_has_rows_of_its_own(playground):
    opened = playground(TUTORIAL)
    opened.get_by_label("Sentence").fill("the dog saw THE cat, constructor")
    assert texts(opened, "x") == ["the", "dog", "saw", "THE", "cat,", "constructor"]
    x = numbers(opened, "x")
    assert torch.equal(x[0], x[3])  # the same word
    assert_close(x[[0, 4]], X[:2])  # words of the example keep their rows
    assert x.any(dim=1).all()
    scores, weights = assert_is_attention(opened)
    products = 2 * scores
    assert variances(opened)[0] == pytest.approx(float(products.var(correction=0)), rel=5e-3)
    largest = float(weights.amax(-1).mean())
    said = card(opened, "3. Weights").locator(".measured").inner_text()
    assert float(re.search(r"is ([\d.]+) on average", said)[1]) == pytest.approx(largest, rel=5e-3)


def test_a_sentence_that_cannot_be_used_is_refused_in_one_line(playground):
    opened = playground(TUTORIAL)
    problem = opened.get_by_role("alert")
    for sentence, said in (
        ("   ", "The sentence has no words: type at least one."),
        (
            "word " * 2000,
            "The sentence has 2,000 words, and this page shows at most 12: shorten it.",
        ),
        ("a " * 13, "The sentence has 13 words, and this page shows at most 12: shorten it."),
    ):
        opened.get_by_label("Sentence").fill(sentence)
        assert problem.inner_text() == said
        assert texts(opened, "x") == ["The", "cat", "sat"]
    opened.get_by_label("Sentence").fill("sat")
    assert problem.is_hidden()
    assert_is_attention(opened)


def test_markup_in_a_sentence_is_text(playground):
    opened = playground(TUTORIAL)
    nasty = ["<img/src=x", "onerror=alert(1)>", "</script><b>", "&lt;", "__proto__", "\u202egnirts"]
    before = opened.locator("img, b, script").count()
    opened.get_by_label("Sentence").fill(" ".join(nasty))
    labels = texts(opened, "x")
    assert [labels[0], labels[3], labels[5]] == ["<img/src=x", "&lt;", "‹U+202E›gni…"]
    assert opened.locator("img, b, script").count() == before
    assert_is_attention(opened)


def test_a_weight_shows_the_products_behind_it(playground):
    opened = playground(TUTORIAL)
    products = opened.locator(".products")
    assert "sat → The: weight 0.4223" in products.inner_text()
    opened.locator("[data-name=w0] td[data-row='1'][data-column='2']").hover()
    assert "cat → sat: weight 0.787" in products.inner_text()
    line = " ".join(products.locator("tbody tr").last.inner_text().split())
    assert line == "q × k 1 1 0 4 6"
    assert "score = 6 / √4 = 3" in products.inner_text()
    assert (
        "of cat is a mix of values: 79% of sat"
        in card(opened, "4. Outputs").locator(".measured").inner_text()
    )
    opened.keyboard.press("Tab")
    opened.locator("[data-name=w0] td[tabindex='0']").focus()
    opened.keyboard.press("ArrowUp")
    opened.keyboard.press("ArrowLeft")
    assert "The → cat: weight 0.1065" in products.get_by_role("status").inner_text()
    opened.get_by_label("Causal mask").check()
    assert "The → cat: weight 0" in products.inner_text()
    assert "The mask hides this key" in products.inner_text()
    opened.locator("[name=heads][value='2']").check(force=True)
    opened.locator("[data-name=w1] td[data-row='2'][data-column='0']").hover()
    features = products.locator("thead th").all_inner_texts()
    assert features == ["3", "4", "sum"]  # numbered as in the joined heads


def test_the_experiment_shows_why_scores_are_divided(playground):
    opened = playground(TUTORIAL)
    slider = opened.get_by_label("Width d")
    largest = []
    for place, d in ((2, 4), (5, 32), (9, 512)):
        slider.fill(str(place))
        (variance, weight, _), (divided, scaled_weight, sensitivity) = numbers(opened, "width")
        assert float(variance) == pytest.approx(d, rel=0.3)
        assert_close(divided, variance / d)
        assert scaled_weight < 0.45
        assert sensitivity > 0.18
        largest.append(float(weight))
    assert largest[0] < 0.65 < 0.75 < largest[1] < 0.92 < largest[2]
    before = numbers(opened, "width")
    opened.get_by_role("button", name="Draw again").click()
    assert not torch.equal(numbers(opened, "width"), before)


def test_every_step_says_why_it_is_there(playground):
    opened = playground(TUTORIAL)
    reasons = opened.locator(".card .why").all_inner_texts()
    assert len(set(reasons)) == 5
    assert all(each.startswith("Why ") for each in reasons)
    assert "variances add up to d" in card(opened, "2. Scores").locator(".why").inner_text()


@pytest.mark.parametrize("heads", [2, 4])
def test_heads_agree_if_a_token_is_largest_in_all_of_them(playground, heads):
    opened = playground(TUTORIAL)
    opened.locator(f"[name=heads][value='{heads}']").check(force=True)
    _, weights = assert_is_attention(opened, heads)
    largest = weights > weights.amax(-1, keepdim=True) - 1e-6  # (H, T, T)
    apart = int((~largest.all(dim=0).any(dim=-1)).sum())
    said = card(opened, "5. Several heads").locator(".measured").inner_text()
    assert f"in {apart} of 3 rows" in said
    said = card(opened, "4. Outputs").locator(".measured").inner_text()
    assert said.startswith("On this page: in head 0, the output of sat is")


def test_everything_is_reached_by_the_keyboard(playground):
    opened = playground(TUTORIAL)
    labels = """() => {
      const at = document.activeElement;
      return at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
    }"""
    outlined = """() => {
      const at = document.activeElement;
      const styles = [at, at.nextElementSibling].filter(Boolean).map(getComputedStyle);
      return styles.some(({ outlineStyle }) => outlineStyle !== "none");
    }"""
    seen = []
    while not seen or seen[-1] != "Draw again":
        opened.keyboard.press("Tab")
        seen.append(opened.evaluate(labels).strip())
        assert len(seen) < 100
        assert opened.evaluate(outlined), seen[-1]
    switches = ["Sentence", "Divide scores by √d", "Causal mask", "Temperature"]
    entries = [f"W{name}, row 1, column 1" for name in "qkv"]  # arrow keys reach the others
    expected = [*switches, *entries, "Reset the matrices", "Width d", "Draw again"]
    assert [name for name in seen if name in expected] == expected


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_the_window(playground, width, scheme):
    opened = playground(TUTORIAL, width=width, color_scheme=scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    ink, paper = (
        opened.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g).map(Number)")
        for name in ("color", "backgroundColor")
    )
    assert (sum(ink) < sum(paper)) == (scheme == "light")


def test_the_page_fits_a_phone_and_moves_nothing_if_asked(playground):
    opened = playground(TUTORIAL, width=400, color_scheme="dark", reduced_motion="reduce")
    opened.get_by_label("Sentence").fill("counterrevolutionaries " * 12)
    opened.locator("[name=heads][value='4']").check(force=True)
    assert opened.evaluate("document.documentElement.scrollWidth") == 400
    duration = "getComputedStyle(document.querySelector('.bars span')).transitionDuration"
    assert opened.evaluate(duration) == "0s"
    light, dark = (
        opened.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
        for scheme in ("light", "dark")
        if opened.emulate_media(color_scheme=scheme) is None
    )
    assert light != dark


def test_without_scripts_the_tables_are_there(playground):
    opened = playground(TUTORIAL, java_script_enabled=False)
    assert "0.7870" in opened.locator("noscript").inner_text()
