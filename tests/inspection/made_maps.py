"""Attention maps without a model: random weights over given tokens."""

import torch

from minitx.inspection.maps import AttentionMaps
from minitx.inspection.weights import AttentionMap, Influence


def words(count, stem="word"):
    return tuple(f"{stem}{i}" for i in range(count))


WORDS, SOURCE, OUTPUT = words(5), words(6, "source"), words(4, "output")


def random_weights(heads, queries, keys, *, causal=False, seed=0):
    """Rows of a softmax, some of them sharp; nothing beyond the diagonal where causal."""
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(heads, queries, keys, generator=generator)
    if causal:
        scores = scores.masked_fill(~torch.ones(queries, keys).tril().bool(), -torch.inf)
    return scores.softmax(-1)


def self_attention(side, layers, heads, tokens, *, causal):
    return tuple(
        AttentionMap(
            f"{side}.layers.{layer}.self",
            random_weights(heads, len(tokens), len(tokens), causal=causal, seed=layer),
            tokens,
            tokens,
            tuple(range(heads)),
        )
        for layer in range(layers)
    )


def language_model(layers=2, heads=3, tokens=WORDS):
    return AttentionMaps(
        self_attention("decoder", layers, heads, tokens, causal=True),
        "transformer on made-up words",
        {"text": " ".join(tokens), "step": 7},
    )


def encoder(layers, heads, tokens):
    maps = self_attention("encoder", layers, heads, tokens, causal=False)
    return AttentionMaps(maps, "an encoder", {})


def translation(source=SOURCE, output=OUTPUT):
    """Two layers of two heads on each side, and influence."""
    cross = tuple(
        AttentionMap(
            f"decoder.layers.{layer}.cross",
            random_weights(2, len(output), len(source), seed=50 + layer),
            output,
            source,
            (0, 1),
        )
        for layer in range(2)
    )
    maps = (
        *self_attention("encoder", 2, 2, source, causal=False),
        *self_attention("decoder", 2, 2, output, causal=True),
        *cross,
    )
    about = {"text": " ".join(source), "output": " ".join(output)}
    return AttentionMaps(maps, "a translation", about, influence(output, source))


def influence(targets, sources):
    return Influence(random_weights(1, len(targets), len(sources), seed=9)[0], targets, sources)


def without_attention(tokens=WORDS):
    """What there is of a model without attention."""
    return AttentionMaps((), "lstm on made-up words", {}, influence(tokens, tokens))


# Tokens that would do something to a page that takes them for more than text.
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked=3'>",
    '"onmouseover="window.hacked=4"',
    "'; window.hacked = 5; '",
    "&lt;b&gt;&amp;",
    "<!--",
    "]]>",
    "{{script}}",
    "${window.hacked = 6}",
    r"\u003cb\u003e",
    "\u2028",
    "\x00\x1b[31m",
    "\u202eright to left\u202c",
    "שלום",
    "مرحبا",
    "👩‍👩‍👧",
    "\ufffd",
    "\u0301",
    " the",
    "\n",
    "",
)
