"""Test that models of transformers become ours: the same logits, and the tools work on them."""

import json
import math
import socket
import sys
from contextlib import suppress

import pytest
import tiny_transformers as tiny
import torch
import transformers

import minitx
from minitx.config.schema import DataLocation, ExportConfig
from minitx.data.tokenizers.pretrained import PretrainedTokenizer, from_library
from minitx.errors import UserError
from minitx.inspection.explain import explain_head, explained
from minitx.inspection.importance import head_importance, run_importance
from minitx.interop.export import export_run
from minitx.interop.folders import open_folder
from minitx.tasks.evaluation import open_corpus

TEXT = tiny.TEXT
BPE, PIECES = tiny.byte_pairs(), tiny.sentence_pieces()

MODELS = {
    "gpt2": lambda size: tiny.gpt2(size),
    "gpt2, untied, exact gelu": lambda size: tiny.gpt2(
        size, tie_word_embeddings=False, activation_function="gelu", n_inner=24
    ),
    "llama": lambda size: tiny.llama(size),
    "llama, tied, biases": lambda size: tiny.llama(
        size, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, num_key_value_heads=4
    ),
}


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits


@pytest.mark.parametrize("name", MODELS)
def test_the_logits_are_the_same(name):
    model = MODELS[name](len(BPE))
    run = minitx.from_transformers(model, BPE)
    ids = run.tokenizer.encode(TEXT)
    assert ids == BPE(TEXT).input_ids
    with torch.no_grad():
        ours, _ = run.model(torch.tensor([ids]))
    expected = logits_of(model, ids)
    assert expected.std() > 0.1
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
    new = model.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False)[0]
    assert run.generate(TEXT, length=6, temperature=0) == BPE.decode(new)


def test_attention_is_that_of_the_model():
    model = tiny.llama(len(BPE))
    run = minitx.from_transformers(model, BPE)
    ours = minitx.attention(run, TEXT)
    model.set_attn_implementation("eager")
    theirs = model(**BPE(TEXT, return_tensors="pt"), output_attentions=True).attentions
    for mine, expected in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(mine, expected[0].detach(), rtol=0, atol=1e-5)


def test_a_saved_run_opens_again_and_serves_the_commands(tmp_path, script, text_file):
    model = tiny.gpt2(len(BPE))
    run = minitx.from_transformers(model, BPE, task="text", context=16)
    run.save(tmp_path / "gpt2")
    again = minitx.load(tmp_path / "gpt2")
    ids = torch.tensor([run.tokenizer.encode("to be")])
    with torch.no_grad():
        assert torch.equal(again.model(ids)[0], run.model(ids)[0])
    assert again.title == "transformer that was trained elsewhere"
    with pytest.raises(UserError, match="already exists"):
        run.save(tmp_path / "gpt2")
    answer = script("evaluate", f"run={tmp_path / 'gpt2'}", f"data.path={text_file}")
    assert answer.status == 0, answer.err
    assert "bits per byte" in answer.out
    where = DataLocation(path=str(text_file))
    found = run.evaluate("val", path=str(text_file)).metrics
    assert f"{found['loss']:.4f}" in answer.out
    task = open_corpus(run, where, "val")
    importance = head_importance(task, run.model, "val", "loss", 1, 1)
    assert len(importance.without) == 8
    assert len(set(importance.without.values())) == 8
    export_run(ExportConfig(run=str(tmp_path / "gpt2"), to=str(tmp_path / "out")))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "It was trained elsewhere" in card
    assert "task=text" not in card
    page = explain_head(again, TEXT, part=None, layer=1, head=2, truncate=False)
    assert page.sections[0].title == "decoder.layers.1.self, head 2"


def test_the_heads_of_a_llama_are_measured_and_explained(text_file):
    """Its tokenizer cannot be saved, so that the commands cannot do this."""
    run = minitx.from_transformers(tiny.llama(len(PIECES)), PIECES, task="text", context=16)
    importance = run_importance(run, "val", batches=1, prune=1, path=str(text_file))
    assert len(importance.without) == len(set(importance.without.values())) == 8
    assert len(importance.pruned) == 1
    assert importance.whole == pytest.approx(
        run.evaluate("val", path=str(text_file)).metrics["loss"], rel=0.1
    )
    assert "decoder.layers.1.self, head 2" in explained(run, TEXT, layer=1, head=2)


def test_without_the_library_a_folder_is_an_error_in_one_line(tmp_path, monkeypatch):
    tiny.llama(len(BPE)).save_pretrained(tmp_path / "out")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        UserError, match=r'out is a model of transformers: pip install "minitx'
    ) as caught:
        open_folder(tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_evaluation_counts_the_bytes_of_the_text(text_file):
    """Bits per byte compare across tokenizers, so the bytes must be those of the corpus."""
    size = len(PIECES)
    run = minitx.from_transformers(tiny.llama(size), PIECES, task="text", context=16)
    assert isinstance(run.tokenizer, PretrainedTokenizer)
    found = run.evaluate("val", path=str(text_file)).metrics
    task = open_corpus(run, DataLocation(path=str(text_file)), "val")
    tokens = task.store.split("val")[1:]  # the first has nothing before it
    in_bytes = len(run.tokenizer.decode(tokens.tolist()).encode())
    bits = found["loss"] * len(tokens) / math.log(2) / in_bytes
    assert found["bits_per_byte"] == pytest.approx(bits, rel=1e-5)


def test_tokens_of_both_kinds_have_readable_labels():
    assert (
        minitx.from_transformers(tiny.gpt2(len(BPE)), BPE).tokenizer.spell(BPE(" be\n").input_ids)[
            -1
        ]
        == "\n"
    )
    run = minitx.from_transformers(tiny.llama(len(PIECES)), PIECES)
    ids = run.tokenizer.encode("to é")
    assert run.tokenizer.spell(ids) == [" t", "o", " ", r"\xc3", r"\xa9"]
    assert run.tokenizer.decode(ids) == " to é"
    with pytest.raises(UserError, match="cannot be saved: not a tokenizer of minitx"):
        run.save("never")


def test_the_tokenizers_of_the_library_itself():
    parts = [json.loads(each.backend_tokenizer.to_str())["model"] for each in (BPE, PIECES)]
    given = [{"vocab": p["vocab"], "merges": list(map(tuple, p["merges"]))} for p in parts]
    both = transformers.GPT2Tokenizer(**given[0]), transformers.LlamaTokenizer(**given[1])
    for each, kind in zip(both, ("bpe", "pretrained"), strict=True):
        ours = from_library(each.backend_tokenizer, len(each))
        assert ours.kind == kind
        assert ours.encode("to be, é") == each("to be, é", add_special_tokens=False).input_ids


def test_without_a_tokenizer_a_text_is_a_list_of_ids():
    run = minitx.from_transformers(tiny.gpt2(12))
    assert run.tokenizer.encode("7 0 11") == [7, 0, 11]
    assert run.generate("7 0", length=3, temperature=0).startswith("7 0 ")


def test_a_folder_is_opened_offline_and_without_pickles(tmp_path):
    model = tiny.gpt2(len(BPE))
    model.save_pretrained(tmp_path / "safe")
    BPE.save_pretrained(tmp_path / "safe")
    run = minitx.from_transformers(tmp_path / "safe")
    ids = BPE(TEXT).input_ids
    with torch.no_grad():
        ours, _ = run.model(torch.tensor([ids]))
    torch.testing.assert_close(ours, logits_of(model, ids), rtol=0, atol=1e-5)
    unsafe = tmp_path / "unsafe"
    unsafe.mkdir()
    (unsafe / "config.json").write_bytes((tmp_path / "safe" / "config.json").read_bytes())
    torch.save(model.state_dict(), unsafe / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickle \(pytorch_model.bin\).*only safetensors"):
        minitx.from_transformers(unsafe)
    with pytest.raises(UserError, match="is not a model of transformers"):
        minitx.from_transformers(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["AutoModel"], "auto_map": {"AutoModel": "code.Evil"}},
        {"architectures": ["pipeline"], "auto_map": {"AutoConfig": "code.Evil"}},
        {"architectures": ["AutoModelForCausalLM"]},
        {"attn_implementation": "somebody/kernel"},
        {"architectures": "GPT2LMHeadModel"},
    ],
)
def test_no_code_of_a_folder_is_executed_and_nobody_is_asked(changes, tmp_path, monkeypatch):
    """The library would ask on the terminal, or download a kernel."""

    done = []

    def refuse(*what):
        done.append(what)
        raise OSError("not in this test")

    monkeypatch.setattr("builtins.input", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    folder, sprung = tmp_path / "model", tmp_path / "sprung"
    tiny.gpt2(len(BPE)).save_pretrained(folder)
    (folder / "custom_generate").mkdir()
    for name in ("code.py", "custom_generate/generate.py"):
        (folder / name).write_text(f"open({str(sprung)!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    with suppress(UserError):
        model, _ = open_folder(folder)
        assert type(model).__module__.startswith("transformers.")
        assert model.config._attn_implementation == "eager"
    assert not done
    assert not sprung.exists()


BAD = {
    "a part that we do not have": (
        lambda: tiny.gpt2(9, scale_attn_by_inverse_layer_idx=True),
        "scale_attn_by_inverse_layer_idx=True in the model's config",
    ),
    "scaled rotations": (
        lambda: tiny.llama(
            9, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
        ),
        "rope_type=linear in the model's config",
    ),
    "an activation": (lambda: tiny.llama(9, hidden_act="mish"), "hidden_act=mish"),
    "wide heads": (lambda: tiny.llama(9, head_dim=8), "head_dim=8"),
    "no language model": (lambda: tiny.gpt2(9).transformer, "GPT2Model cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_named(case):
    make, message = BAD[case]
    with pytest.raises(UserError, match=message) as caught:
        minitx.from_transformers(make())
    assert "\n" not in str(caught.value)


def test_the_tokenizer_must_fit_the_model():
    with pytest.raises(UserError, match="and the model has 100 tokens"):
        minitx.from_transformers(tiny.gpt2(100), BPE)
    with pytest.raises(UserError, match="task=genre"):
        minitx.from_transformers(tiny.gpt2(9), task="genre")
    with pytest.raises(UserError, match="context=64: the model reads 1 to 32"):
        minitx.from_transformers(tiny.gpt2(9), context=64)
