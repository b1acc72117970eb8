"""Test captured maps: their weights and names, and that nothing is left after capture."""

import pytest
import torch
from inspected import LABELLED, PAIRS, TEXTS, lstm, randomise, transformer
from torch import nn

from minitx.data.tokenizers.sequence import BOS
from minitx.errors import UserError
from minitx.inspection.capture import capture, find_attention
from minitx.nn.attention import CrossAttention, SelfAttention

LENGTHS = [5, 3, 0]  # of three texts; the last has nothing to attend to

TRANSFORMERS = {
    "plain": transformer(),
    "rotary": transformer(position="rotary"),
    "alibi": transformer(position="alibi"),
    "window": transformer(window=2),
    "kv_heads": transformer(kv_heads=2),
    "post, normed queries": transformer(norm_order="post", qk_norm=True, bias=False),
}
MODELS = {
    **{f"language model, {name}": (TEXTS, config) for name, config in TRANSFORMERS.items()},
    **{f"classifier, {name}": (LABELLED, config) for name, config in TRANSFORMERS.items()},
    **{f"pairs, {name}": (PAIRS, config) for name, config in TRANSFORMERS.items()},
    "pairs, lstm mixer": (PAIRS, transformer(mixer="lstm")),
    "pairs, hybrid": (PAIRS, transformer(mixer=["lstm", "attention"])),
    "pairs, additive": (PAIRS, lstm(attention="additive")),
    "pairs, dot": (PAIRS, lstm(attention="dot")),
    "pairs, fed": (PAIRS, lstm(attention="additive", input_feeding=True)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name):
    vocabulary, config = MODELS[name]
    return randomise(vocabulary.build(config))


def padding():
    return torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def forward(name, model):
    """The outputs for three texts with padding, and for pairs four target tokens of each."""
    torch.manual_seed(1)
    tokens = torch.randint(8, (len(LENGTHS), max(LENGTHS)))
    if "pairs" in name:
        return model(tokens, padding(), torch.randint(8, (len(LENGTHS), 4)))
    return model(tokens, padding())[0] if "language" in name else model(tokens, padding())


def allowed(attention, config, queries):
    """What an attention may attend to by its name: bool (B, 1, queries, keys)."""
    keys = max(LENGTHS)
    real = padding()[:, None, None]  # (B, 1, 1, keys)
    if attention.endswith("cross"):
        return real.expand(-1, 1, queries, keys)
    if queries == 4:  # a decoder's, whose targets have no padding
        real, keys = torch.ones(len(LENGTHS), 1, 1, 4, dtype=torch.bool), 4
    behind = torch.arange(queries)[:, None] - torch.arange(keys)
    seen = behind >= 0 if attention.startswith("decoder") else behind == behind
    if config.window is not None:
        seen &= behind.abs() < config.window
    return real & seen


@every_model
def test_outputs_with_capture_are_those_of_the_fused_path(name):
    model = make(name)
    expected = forward(name, model)
    with capture(model):
        torch.testing.assert_close(forward(name, model), expected, atol=1e-5, rtol=1e-5)
    assert all(attention.on_attention is None for attention in find_attention(model).values())
    assert torch.equal(forward(name, model), expected)


@every_model
def test_rows_sum_to_one_over_what_is_allowed_and_are_zero_elsewhere(name):
    model = make(name)
    with capture(model) as captured:
        forward(name, model)
    assert set(captured) == set(find_attention(model))
    for attention, weights in captured.items():
        may = allowed(attention, MODELS[name][1], weights.size(2)).expand_as(weights)
        assert (weights[~may] == 0).all()
        assert (weights[may] > 0).all()
        torch.testing.assert_close(weights.sum(dim=-1), may.any(dim=-1).float())


def test_the_weights_are_what_the_output_was_mixed_by():
    attention = randomise(SelfAttention(8, 4, 2, causal=True))
    x = torch.randn(3, 5, 8)
    with capture(attention) as captured:
        y, state = attention(x)
    values = state.values.repeat_interleave(2, dim=1)  # of the two key/value heads, four
    mixed = captured["attention"] @ values  # (B, H, T, D)
    torch.testing.assert_close(attention.output(mixed.transpose(1, 2).flatten(-2)), y)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("language model, plain", ["decoder.layers.0.self", "decoder.layers.1.self"]),
        ("classifier, plain", ["encoder.layers.0.self", "encoder.layers.1.self"]),
        (
            "pairs, plain",
            [
                *["encoder.layers.0.self", "encoder.layers.1.self"],
                *["decoder.layers.0.self", "decoder.layers.0.cross"],
                *["decoder.layers.1.self", "decoder.layers.1.cross"],
            ],
        ),
        ("pairs, lstm mixer", ["decoder.layers.0.cross", "decoder.layers.1.cross"]),
        (
            "pairs, hybrid",
            [
                "encoder.layers.1.self",
                *["decoder.layers.0.cross", "decoder.layers.1.self", "decoder.layers.1.cross"],
            ],
        ),
        ("pairs, additive", ["decoder.cross"]),
    ],
)
def test_names_in_order(name, expected):
    model = make(name)
    with capture(model) as captured:
        forward(name, model)
    assert list(captured) == expected


class Mine(nn.Module):
    """Somebody's own model with our attention in it."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(SelfAttention(8, 2) for _ in range(3))
        self.look = nn.ModuleDict({"around": CrossAttention(8, 4)})

    def forward(self, x):
        for block in self.blocks:
            x, _ = block(x)
        return self.look["around"](x, x)[0]


def test_a_users_own_module_is_named_by_its_paths():
    model = Mine()
    with capture(model) as captured:
        model(torch.randn(2, 4, 8))
    assert {name: tuple(weights.shape) for name, weights in captured.items()} == {
        "blocks.0": (2, 2, 4, 4),
        "blocks.1": (2, 2, 4, 4),
        "blocks.2": (2, 2, 4, 4),
        "look.around": (2, 4, 4, 4),
    }
    with capture(model, layers=[2]) as captured:
        model(torch.randn(2, 4, 8))
    assert list(captured) == ["blocks.2"]


@pytest.mark.parametrize("name", ["pairs, plain", "pairs, kv_heads", "language model, rotary"])
def test_only_the_layers_and_heads_asked_for_are_kept(name):
    model = make(name)
    with capture(model) as everything:
        forward(name, model)
    with capture(model, layers=[1], heads=[3, 0]) as part:
        switched = {n for n, a in find_attention(model).items() if a.on_attention is not None}
        forward(name, model)
    assert set(part) == switched == {n for n in everything if ".1." in n}
    for attention, weights in part.items():
        torch.testing.assert_close(weights, everything[attention][:, [3, 0]])


def test_the_one_attention_of_a_recurrent_decoder_is_layer_0_head_0():
    model = make("pairs, additive")
    with capture(model, layers=[0], heads=[0]) as captured:
        forward("pairs, additive", model)
    assert captured["decoder.cross"].shape == (3, 1, 4, 5)
    with pytest.raises(UserError, match=r"^layers=\[1\]: the model has only layer 0$"):  # noqa: SIM117
        with capture(model, layers=[1]):
            pass


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": [0, 2]}, r"^layers=\[0, 2\]: the model has layers 0 to 1$"),
        ({"layers": [-1]}, r"^layers=\[-1\]: the model has layers 0 to 1$"),
        ({"layers": []}, r"^layers=\[\]: the model has layers 0 to 1$"),
        ({"heads": [4]}, r"^heads=\[4\]: encoder.layers.0.self has heads 0 to 3$"),
    ],
)
def test_layers_and_heads_that_do_not_exist(asked, message):
    model = make("pairs, plain")
    with pytest.raises(UserError, match=message), capture(model, **asked):
        pass
    assert all(attention.on_attention is None for attention in find_attention(model).values())


def test_a_model_without_attention_has_nothing_to_capture():
    model = randomise(TEXTS.build(lstm()))
    with pytest.raises(UserError, match="no attention"), capture(model):
        pass


def test_switches_are_restored_after_an_error():
    model = make("pairs, plain")
    mine = [].append
    find_attention(model)["decoder.layers.1.cross"].on_attention = mine
    with pytest.raises(ZeroDivisionError), capture(model):
        raise ZeroDivisionError
    switches = {name: a.on_attention for name, a in find_attention(model).items()}
    assert switches.pop("decoder.layers.1.cross") is mine
    assert set(switches.values()) == {None}


def test_captures_nest_and_leave_a_users_switch_at_work():
    name = "language model, plain"
    model, mine = make(name), []
    find_attention(model)["decoder.layers.0.self"].on_attention = mine.append
    with capture(model) as outer:
        with capture(model, layers=[0]) as inner:
            forward(name, model)
        forward(name, model)
    assert len(mine) == 2
    assert {n: len(calls) for n, calls in inner.calls.items()} == {"decoder.layers.0.self": 1}
    assert {len(calls) for calls in outer.calls.values()} == {2}
    assert torch.equal(inner.calls["decoder.layers.0.self"][0], mine[0].weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept_are_plain_tensors_of_their_own(dtype):
    attention = randomise(SelfAttention(8, 2)).to(dtype)
    seen = []
    attention.on_attention = seen.append
    with capture(attention) as captured:
        attention(torch.randn(1, 3, 8, dtype=dtype))
        with torch.inference_mode():
            attention(torch.randn(1, 3, 8, dtype=dtype))
    assert seen[0].weights.requires_grad
    for weights in captured.calls["attention"]:
        assert weights.dtype == torch.float32
        assert not weights.requires_grad
        assert not weights.is_inference()
    seen[0].weights.data.zero_()
    assert (captured.calls["attention"][0] > 0).all()


@pytest.mark.parametrize("name", ["language model, rotary", "language model, window"])
def test_the_steps_of_cached_decoding_make_the_map_of_the_whole(name):
    model = make(name)
    tokens = torch.randint(10, (2, 7))
    with capture(model) as whole:
        model(tokens)
    state = None
    with capture(model) as steps, torch.inference_mode():
        for step in tokens.split([3, 1, 1, 2], dim=1):
            _, state = model(step, state=state)
    for attention in whole:
        assert len(steps.calls[attention]) == 4
        torch.testing.assert_close(steps[attention], whole[attention])


def test_attention_that_was_not_called_has_no_map():
    model = make("pairs, plain")
    with capture(model) as captured:
        model.encode(torch.tensor([[BOS, 5]]))
    assert list(captured) == ["encoder.layers.0.self", "encoder.layers.1.self"]
    assert len(captured) == 2
    with pytest.raises(KeyError, match="not called"):
        captured["decoder.layers.0.self"]
