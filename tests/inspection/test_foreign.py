"""Test the attention of models of transformers, tiny and random, built offline from configs."""

import json

import pytest
import tiny_transformers as tiny
import torch
import transformers
from made_maps import HOSTILE
from torch import nn
from transformers import BatchEncoding

import minitx
from minitx import AttentionMaps
from minitx.errors import UserError
from minitx.inspection.induction import induction_score
from minitx.inspection.measures import measure_heads
from minitx.inspection.page import page
from minitx.inspection.page_data import run_data

TEXT = tiny.TEXT
WORDS, BPE, PIECES = tiny.word_pieces(), tiny.byte_pairs(), tiny.sentence_pieces()
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
}


def bert():
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **SMALL)
    return tiny.randomise(transformers.BertModel(config))


def roberta():
    config = transformers.RobertaConfig(
        vocab_size=len(WORDS), max_position_embeddings=16, pad_token_id=0, **SMALL
    )
    return tiny.randomise(transformers.RobertaForMaskedLM(config))


def t5(**changes):
    config = transformers.T5Config(
        vocab_size=len(BPE),
        d_model=16,
        d_kv=4,
        d_ff=24,
        num_layers=2,
        num_heads=4,
        **{"decoder_start_token_id": 0, "eos_token_id": 1} | changes,
    )
    return tiny.randomise(transformers.T5ForConditionalGeneration(config))


def clip():
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    sizes["num_attention_heads"] = 4
    config = transformers.CLIPConfig(
        text_config=sizes | {"vocab_size": len(BPE), "max_position_embeddings": 16},
        vision_config=sizes | {"image_size": 12, "patch_size": 4},
    )
    return transformers.CLIPModel(config)


def swin():
    config = transformers.SwinConfig(
        image_size=16, patch_size=4, embed_dim=8, depths=[2], num_heads=[2], window_size=2
    )
    return transformers.SwinModel(config)


def xlnet():
    config = transformers.XLNetConfig(
        vocab_size=len(BPE), d_model=16, n_layer=2, n_head=4, d_inner=24
    )
    return tiny.randomise(transformers.XLNetModel(config))


def bart(kind=transformers.BartForConditionalGeneration):
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {"layers": 2, "attention_heads": 4, "ffn_dim": 24}.items()
    }
    config = transformers.BartConfig(
        vocab_size=len(BPE),
        d_model=16,
        max_position_embeddings=32,
        decoder_start_token_id=0,
        eos_token_id=1,
        forced_eos_token_id=None,
        **sides,
    )
    return tiny.randomise(kind(config))


def vit():
    config = transformers.ViTConfig(image_size=12, patch_size=4, **SMALL)
    return tiny.randomise(transformers.ViTModel(config))


# (model, tokenizer, the kinds of its maps)
MODELS = {
    "bert": (bert, WORDS, ["encoder"]),
    "roberta": (roberta, WORDS, ["encoder"]),
    "gpt2": (lambda: tiny.gpt2(len(BPE)), BPE, ["decoder"]),
    "llama": (lambda: tiny.llama(len(PIECES)), PIECES, ["decoder"]),
    "t5": (t5, BPE, ["encoder", "decoder", "cross"]),
    "bart": (bart, BPE, ["encoder", "decoder", "cross"]),
}


def reference(model, inputs):
    """The weights as the library's own eager attention returns them, in the order of our maps."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        outputs = model(**inputs, output_attentions=True)
    model.set_attn_implementation(before)
    parts = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
    return [layer[0] for part in parts for layer in getattr(outputs, part, None) or ()]


@pytest.mark.parametrize("name", MODELS)
def test_maps_are_those_of_the_model(name):
    make, tokenizer, kinds = MODELS[name]
    model = make()
    inputs = dict(tokenizer(TEXT, return_tensors="pt"))
    length, output = inputs["input_ids"].size(1), None
    if len(kinds) > 1:
        output = "the question"
        written = tokenizer(output)["input_ids"]
        inputs["decoder_input_ids"] = torch.tensor([[0, *written[:-1]]])
    expected = reference(model, inputs)
    assert model.config._attn_implementation == "sdpa"
    maps = minitx.attention(model, TEXT, tokenizer=tokenizer, output=output)
    assert model.config._attn_implementation == "sdpa"
    assert [each.kind for each in maps.maps] == [kind for kind in kinds for _ in range(2)]
    for each, weights in zip(maps.maps, expected, strict=True):
        torch.testing.assert_close(each.weights, weights, rtol=0, atol=1e-6)
        assert each.heads == (0, 1, 2, 3)
        torch.testing.assert_close(each.weights.sum(-1), torch.ones(each.weights.shape[:2]))
    assert len(maps.maps[0].keys) == length
    if output is not None:
        cross = maps.maps[-1]
        assert "".join(cross.queries) == output
        assert "".join(cross.keys) == TEXT
        assert maps.maps[2].queries[1:] == cross.queries[:-1]
    assert maps.title == type(model).__name__


def test_tokens_are_readable():
    labels = {
        name: minitx.attention(make(), TEXT, tokenizer=tokenizer, output=None).maps[0].keys
        for name, (make, tokenizer, _) in MODELS.items()
        if name in ("bert", "gpt2", "llama")
    }
    assert labels["bert"] == ("[CLS]", "to", "be", ",", "or", "not", "to", "be", "[SEP]")
    assert "".join(labels["gpt2"]) == TEXT
    assert labels["llama"][0] == "<s>"
    assert "".join(labels["llama"][1:]) == f" {TEXT}"


def test_an_encoder_decoder_reads_what_it_generates():
    model = t5()
    maps = minitx.attention(model, TEXT, tokenizer=BPE, heads=[2], layers=[1])
    source = BPE(TEXT, return_tensors="pt")
    room = 2 * source.input_ids.size(1) + 9
    found = model.generate(**source, do_sample=False, num_beams=1, max_new_tokens=room)[0]
    assert maps.about["output"] == BPE.decode(found[1:], skip_special_tokens=True)
    assert list(maps) == [
        "encoder.layers.1.self",
        "decoder.layers.1.self",
        "decoder.layers.1.cross",
    ]
    assert {each.heads for each in maps.maps} == {(2,)}
    assert maps["decoder.layers.1.cross"].shape[1] == len(found) - 1


def test_a_picture_has_patches():
    pixels = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    model = vit()
    maps = minitx.attention(model, {"pixel_values": pixels})
    for each, weights in zip(maps.maps, reference(model, {"pixel_values": pixels}), strict=True):
        torch.testing.assert_close(each.weights, weights, rtol=0, atol=1e-6)
    labels = maps.maps[0].keys
    assert labels[:3] == ("[CLS]", "0,0", "0,1")
    assert labels[-1] == "2,2"
    with pytest.raises(UserError, match="pixel_values has 2 inputs: give one at a time"):
        minitx.attention(model, {"pixel_values": pixels.repeat(2, 1, 1, 1)})


def test_the_model_is_left_as_it_was():
    model = bert().train()
    model.encoder.layer[0].eval()
    minitx.attention(model, TEXT, tokenizer=WORDS)
    assert model.training
    assert not model.encoder.layer[0].training
    assert model.encoder.layer[1].training
    with pytest.raises(UserError, match="the model has layers 0 to 1"):
        minitx.attention(model, TEXT, tokenizer=WORDS, layers=[7])
    assert model.training
    assert model.config._attn_implementation == "sdpa"


def test_page_measures_and_files_are_the_same_as_of_our_runs(tmp_path):
    maps = minitx.attention(bert(), TEXT, tokenizer=WORDS)
    files = maps.write(tmp_path)
    assert sorted(each.name for each in files) == [
        "attention.html",
        "attention.json",
        "attention.png",
        "attention.safetensors",
        "attention.svg",
    ]
    assert all(each.stat().st_size for each in files)
    described = json.loads((tmp_path / "attention.json").read_text(encoding="utf-8"))
    assert described["about"]["text"] == TEXT
    heads = measure_heads(maps.maps)
    first = maps["encoder.layers.0.self"][0, :, 0].mean()
    assert heads[0].first == pytest.approx(float(first), rel=1e-5)
    assert len(heads) == 8


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_decoder_has_the_findings_of_our_models(name):
    make, tokenizer, _ = MODELS[name]
    model = make()
    found = minitx.attention(model, TEXT, tokenizer=tokenizer, heads=[1]).findings
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    expected = model(ids).logits[0].detach().softmax(-1)
    assert "".join(each.token for each in found.predictions).endswith(TEXT)
    for place, each in enumerate(found.predictions):
        assert [p for _, p in each.candidates] == pytest.approx(
            expected[place].topk(5).values.tolist(), abs=1e-6
        )
        if place + 1 < len(expected):
            assert each.actual[0] == pytest.approx(float(expected[place, ids[0, place + 1]]))

    # Without special tokens, the random texts are those of our own models.
    found = minitx.attention(model, {"input_ids": ids}).findings
    ours = minitx.from_transformers(model)
    scores = induction_score(ours.model, model.config.vocab_size, samples=4)
    assert found.induction.keys() == scores.keys()
    for name, score in scores.items():
        torch.testing.assert_close(found.induction[name], score, rtol=0, atol=1e-6)
    run = run_data(minitx.attention(model, TEXT, tokenizer=tokenizer), 10**6)
    assert run["predictions"][0]["candidates"]
    assert run["kinds"][0]["layers"][0]["measured"][0]["induction"] > 0


def test_what_is_no_language_model_has_no_next_tokens():
    model = transformers.GPT2Model(tiny.gpt2(len(BPE)).config).eval()
    found = minitx.attention(model, TEXT, tokenizer=BPE).findings
    assert (found.predictions, len(found.induction)) == ((), 2)
    for other in (bert(), t5()):
        tokenizer = WORDS if other.config.model_type == "bert" else BPE
        assert minitx.attention(other, TEXT, tokenizer=tokenizer).findings is None
    with_positions = {"inputs_embeds": torch.randn(1, 3, model.config.n_embd)}
    assert minitx.attention(model, with_positions).findings is None


def test_a_folder_is_opened_with_its_tokenizer(tmp_path):
    model = bert()
    model.save_pretrained(tmp_path / "bert")
    WORDS.save_pretrained(tmp_path / "bert")
    maps = minitx.attention(tmp_path / "bert", TEXT)
    assert maps.title == "BertModel bert"
    torch.testing.assert_close(
        maps["encoder.layers.0.self"],
        minitx.attention(model, TEXT, tokenizer=WORDS)["encoder.layers.0.self"],
    )
    (tmp_path / "bert" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "bert" / "pytorch_model.bin")
    with pytest.raises(UserError, match="only safetensors are opened"):
        minitx.attention(tmp_path / "bert", TEXT)


class Flash(nn.Module):
    """A model that has only kernels that do not store weights, as the library would refuse it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.config = transformers.BertConfig()
        self.config._attn_implementation = "flash_attention_2"

    def set_attn_implementation(self, name):
        raise ValueError(f"Flash does not support {name}")

    def forward(self, **_):
        return BatchEncoding({"attentions": None})


class Silent(Flash):
    """A model that accepts eager attention, and still returns no weights."""

    def set_attn_implementation(self, name):
        self.config._attn_implementation = name


def test_attention_that_is_not_available_is_named():
    with pytest.raises(UserError, match=r"Flash has no eager attention.*does not support eager"):
        minitx.attention(Flash(), {"input_ids": torch.tensor([[1]])})
    silent = Silent()
    with pytest.raises(UserError, match="Silent returned no attention"):
        minitx.attention(silent, {"input_ids": torch.tensor([[1]])})
    assert silent.config._attn_implementation == "flash_attention_2"


def test_a_model_whose_positions_have_no_end_reads_any_length():
    maps = minitx.attention(xlnet(), {"input_ids": torch.ones(1, 40, dtype=torch.long)})
    assert maps["encoder.layers.0.self"].shape == (4, 40, 40)


BAD = {
    "too long": (
        bert,
        WORDS,
        {"text": "to " * 20},
        "the text has 22 tokens, and the model reads 16",
    ),
    "too long for roberta": (roberta, WORDS, {"text": "to " * 14}, "has 16 tokens.*reads 15"),
    "no text": (bert, WORDS, {"text": ""}, "the text is empty"),
    "no tokenizer": (bert, None, {}, "BertModel needs tokenizer= to read a text"),
    "no head": (bert, WORDS, {"heads": [9]}, "has heads 0 to 3"),
    "no decoder": (bert, WORDS, {"output": "be"}, "BertModel has no decoder: leave output= out"),
    "nothing generated": (
        lambda: bart(transformers.BartModel),
        BPE,
        {},
        "BartModel cannot generate text: give output=",
    ),
    "a list": (bert, WORDS, {"text": ["to", "be"]}, "text is a list: give a string, or inputs"),
    "ids that are too long": (
        bert,
        None,
        {"text": {"input_ids": torch.ones(1, 17, dtype=torch.long)}},
        "the text has 17 tokens, and the model reads 16",
    ),
    "the tokenizer of another model": (
        bert,
        BPE,
        {},
        r"has the token \d+, and the model has tokens 0 to 10: is this the tokenizer of another",
    ),
    "the name of a tokenizer": (bert, "bert", {}, "tokenizer= is a str: give the tokenizer"),
    "a long output": (
        bart,
        BPE,
        {"output": "to be " * 40},
        "the output has [0-9]+ tokens, and the model reads 32",
    ),
    "other inputs": (
        vit,
        None,
        {"text": {"pixels": torch.ones(1, 3, 12, 12)}},
        "ViTModel cannot read pixels: ",
    ),
    "no first token": (
        lambda: t5(decoder_start_token_id=None),
        BPE,
        {"output": "be"},
        "T5ForConditionalGeneration names no token that its decoder reads first: set model.config",
    ),
    "nothing to begin with": (
        lambda: t5(decoder_start_token_id=None),
        BPE,
        {},
        r"T5ForConditionalGeneration cannot generate text \(.*\): give output=",
    ),
    "an empty output": (t5, BPE, {"output": ""}, "the output is empty"),
    "one id": (
        bert,
        None,
        {"text": {"input_ids": torch.tensor(3)}},
        r"input_ids has the shape \(\): give it as \(1, tokens\)",
    ),
    "ids as text": (bert, None, {"text": {"input_ids": "abc"}}, "input_ids is a str, not a tensor"),
    "two texts": (
        bert,
        None,
        {"text": {"input_ids": torch.ones(2, 3, dtype=torch.long)}},
        "input_ids has 2 inputs: give one at a time",
    ),
    "a model of two parts": (
        clip,
        None,
        {"text": {"input_ids": torch.ones(1, 3, dtype=torch.long)}},
        "CLIPModel cannot read input_ids: ",
    ),
    "windows": (
        swin,
        None,
        {"text": {"pixel_values": torch.zeros(1, 3, 16, 16)}},
        "has the weights of 4 texts or windows: give those of one text, not divided",
    ),
    "no model": (lambda: "nowhere", None, {}, "nowhere does not exist"),
    "another object": (dict, None, {}, "dict is neither a run of minitx nor a model"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line(case):
    make, tokenizer, change, message = BAD[case]
    with pytest.raises(UserError, match=message) as caught:
        minitx.attention(make(), **{"text": TEXT, "tokenizer": tokenizer, **change})
    assert "\n" not in str(caught.value)


def test_a_long_text_may_be_cut():
    maps = minitx.attention(bert(), "to " * 20, tokenizer=WORDS, truncate=True)
    assert len(maps.maps[0].keys) == 16
    assert maps.about["notes"] == ["the first 16 tokens of 22: the rest of the text was cut"]


def rows(heads, queries, keys, causal=False):
    scores = torch.randn(heads, queries, keys, generator=torch.Generator().manual_seed(1))
    if causal:
        scores = scores.masked_fill(~torch.ones(queries, keys).tril().bool(), -torch.inf)
    return scores.softmax(-1)


def test_tensors_of_any_program_become_maps():
    tokens = ("a", "b", "c")
    one = AttentionMaps.from_tensors(torch.stack([rows(2, 3, 3), rows(2, 3, 3)]), tokens)
    assert list(one) == ["encoder.layers.0.self", "encoder.layers.1.self"]
    assert torch.equal(one["encoder.layers.1.self"], rows(2, 3, 3))
    causal = AttentionMaps.from_tensors([rows(2, 3, 3, causal=True)[None].numpy()], tokens)
    assert list(causal) == ["decoder.layers.0.self"]
    named = {
        "encoder.layers.0.self": rows(2, 3, 3),
        "decoder.layers.0.self": rows(2, 2, 2, causal=True),
        "decoder.layers.0.cross": rows(2, 2, 3),
    }
    both = AttentionMaps.from_tensors(named, tokens, output=("x", "y"), title="mine")
    assert [(each.queries, each.keys) for each in both.maps] == [
        (tokens, tokens),
        (("x", "y"), ("x", "y")),
        (("x", "y"), tokens),
    ]
    assert repr(both) == "AttentionMaps(mine, 3 maps)"


WRONG = {
    "map 0 has the shape (3, 3), not (heads, queries, keys)": [rows(1, 3, 3)[0]],
    "map 0 has the weights of 2 texts": [torch.stack([rows(1, 3, 3)] * 2)],
    "has 4 queries, and there are 3 tokens": [rows(1, 4, 3)],
    "has 5 keys, and there are 3 tokens": [rows(1, 3, 5)],
    "give the weights, after the softmax": [rows(1, 3, 3) - 1],
    "there are no maps": [],
    "map 0 is a str, not a tensor of weights": ["weights"],
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_tensors_are_named(message):
    with pytest.raises(UserError) as caught:
        AttentionMaps.from_tensors(WRONG[message], "abc")
    assert message in str(caught.value)


def test_markup_in_tokens_is_text():
    maps = AttentionMaps.from_tensors([rows(2, len(HOSTILE), len(HOSTILE))], HOSTILE, title="<b>")
    shown = page(maps)
    assert "<script>window" not in shown
    assert "<img src=x" not in shown
    assert "<title>&lt;b&gt;</title>" in shown
