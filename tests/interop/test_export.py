"""Test that exported models are loaded by transformers, or by torch alone, and compute the same."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import tiny_transformers  # noqa: F401  before the library is imported
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import minitx
from minitx.config.schema import ExportConfig, RecurrentConfig, TransformerConfig
from minitx.errors import UserError
from minitx.interop import export, load
from minitx.interop.counterparts import COUNTERPARTS, find_counterpart

SHAPE = ["model.dim=32", "model.layers=2", "trainer.max_steps=20", "trainer.val_every=10"]
RUNS = {
    "GPT-2": ["experiment=plain", "model.bias=true"],
    "GPT-2, no biases": ["experiment=plain"],
    "Llama": ["experiment=llama", "data.tokenizer=bpe", "data.vocab_size=270"],
    "Qwen3": ["experiment=llama", "model.qk_norm=true", "model.kv_heads=1", "data.tokenizer=byte"],
}
ARCHITECTURES = {each.name: each.architecture for each in COUNTERPARTS}


@pytest.fixture(scope="module")
def exported(train, tmp_path_factory):
    """Return the run and the folder of its export, for each counterpart."""
    found = {}
    for name, overrides in RUNS.items():
        place = tmp_path_factory.mktemp("export")
        run = train(f"run.dir={place / 'run'}", *SHAPE, *overrides)
        export.export_run(ExportConfig(run=str(place / "run"), to=str(place / "out")))
        found[name] = run, place / "out"
    return found


@pytest.mark.parametrize("name", RUNS)
def test_transformers_loads_it_with_the_same_outputs(name, exported):
    run, out = exported[name]
    model = AutoModelForCausalLM.from_pretrained(out)
    assert type(model).__name__ == ARCHITECTURES[name.partition(",")[0]]
    tokenizer = AutoTokenizer.from_pretrained(out)
    text = "ROMEO:\nthe king"
    inputs = tokenizer(text, return_tensors="pt")
    assert inputs.input_ids[0].tolist() == run.tokenizer.encode(text)
    assert tokenizer.decode(inputs.input_ids[0]) == text
    with torch.no_grad():
        ours, theirs = run.model(inputs.input_ids)[0], model(inputs.input_ids).logits
    assert ours.std() > 0.1
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)
    prompt = tokenizer("the", return_tensors="pt")
    greedy = model.generate(**prompt, max_new_tokens=10, do_sample=False)[0]
    assert tokenizer.decode(greedy) == run.generate("the", length=10, temperature=0)


WITHOUT_MINITX = """
import sys
sys.modules["minitx"] = None  # importing it is an error from now on
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokens = AutoTokenizer.from_pretrained("out")("the king of men", return_tensors="pt").input_ids
with torch.no_grad():
    torch.save(AutoModelForCausalLM.from_pretrained("out")(tokens).logits, "logits.pt")
"""


def test_transformers_loads_it_where_minitx_is_not_installed(exported):
    run, out = exported["Llama"]
    subprocess.run([sys.executable, "-I", "-c", WITHOUT_MINITX], cwd=out.parent, check=True)
    found = torch.load(out.parent / "logits.pt", weights_only=True)
    with torch.no_grad():
        expected, _ = run.model(torch.tensor([run.tokenizer.encode("the king of men")]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_an_export_comes_back_as_it_was(name, exported):
    run, out = exported[name]
    if name == "Qwen3":
        with pytest.raises(UserError, match="Qwen3ForCausalLM cannot be read"):
            minitx.from_transformers(out)
        return
    again = minitx.from_transformers(out)
    assert again.tokenizer.to_json() == run.tokenizer.to_json()
    for key, tensor in run.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], tensor), key


def test_the_card_has_the_figures_of_the_summary(exported):
    run, out = exported["GPT-2"]
    card = (out / "README.md").read_text(encoding="utf-8")
    summary = json.loads((run.folder / "summary.json").read_text(encoding="utf-8"))
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-generation\n")
    assert f"{summary['parameters']:,} parameters" in card
    for name, value in summary["metrics"].items():
        assert f"| {name} | {value:.4g}"[:-1] in card  # rounded to four digits
    assert "20 steps" in card
    assert str(run.folder.parent) not in card  # no path of this machine


def test_files_are_readable_and_nothing_else_is_left(exported):
    _, out = exported["GPT-2"]
    assert {each.name for each in out.iterdir()} == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert {each.name for each in out.parent.iterdir()} == {"run", "out"}


LOAD = """
import runpy, sys
sys.path.append(".")
runpy.run_module("minitx_model", run_name="__main__")
import minitx_model
known = {"minitx", "hydra", "omegaconf", "safetensors", "tokenizers", "lightning", "yaml", "rich"}
print(type(minitx_model.load(".")).__name__, *known & set(sys.modules))
"""
OTHERS = {
    "hybrid": ["model.mixer=[gru,attention]", "model.layers=2", "model.position=rotary"],
    "lstm": ["model=lstm"],
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_model_loads_with_torch_alone(name, train, tmp_path):
    train(f"run.dir={tmp_path / 'run'}", *OTHERS[name])
    out = tmp_path / "out"
    done = export.export_run(ExportConfig(run=str(tmp_path / "run"), to=str(out)))
    assert done.counterpart is None
    if name == "hybrid":  # one process is enough to see that only torch is needed
        answer = subprocess.run(
            [sys.executable, "-I", "-W", "error::RuntimeWarning", "-c", LOAD],
            cwd=out,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.splitlines()[0].startswith("The logits differ by at most ")
        assert answer.stdout.splitlines()[1].split() == ["LanguageModel"]
    run, model = minitx.load(tmp_path / "run"), load.load(out)
    tokens = torch.tensor([run.tokenizer.encode("the king of men")])
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[0], run.model(tokens)[0], rtol=0, atol=1e-6)
    expected = load_file(out / "model.safetensors")
    found = load.read_safetensors(out / "model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("objective", ["sequence_to_sequence", "classification"])
def test_every_objective_can_be_exported(objective, tmp_path):
    """These runs are of the first version of minitx."""
    from test_from_transformers import __file__ as here

    old = os.path.join(os.path.dirname(here), "..", "old_runs", objective)
    done = export.export_run(ExportConfig(run=old, to=str(tmp_path / "out")))
    assert done.counterpart is None
    check = load.read_safetensors(tmp_path / "out" / "check.safetensors")
    logits = check.pop("logits")
    inputs = [check[name] for name in sorted(check)]
    assert len(inputs) == (2 if objective == "sequence_to_sequence" else 1)
    found = load.outputs(load.load(tmp_path / "out"), inputs)
    torch.testing.assert_close(found, logits, rtol=0, atol=1e-6)


def test_a_changed_weight_is_noticed(train, tmp_path, monkeypatch, capsys):
    train(f"run.dir={tmp_path / 'run'}", "model=gru")
    out = tmp_path / "out"
    export.export_run(ExportConfig(run=str(tmp_path / "run"), to=str(out)))
    monkeypatch.chdir(out)
    load.main()
    file = out / "model.safetensors"
    content = bytearray(file.read_bytes())
    for place in (-1, -1000, len(content) // 2):
        content[place] ^= 1
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"model.safetensors is damaged: export the model"):
            load.load()
        content[place] ^= 1
    file.write_bytes(content[:-4])
    with pytest.raises(ValueError, match=r"model.safetensors is damaged: export the model"):
        load.load()
    file.write_bytes(content)
    weights = {name: torch.full_like(each, torch.inf) for name, each in load_file(file).items()}
    save_file(weights, file)  # which leaves the checksum out
    with pytest.raises(SystemExit, match="not the model that was exported"):
        load.main()


# The differences of some models from their nearest counterpart.
DIFFERING = {
    "model.gated=false; Qwen3, the nearest, has true": {
        "position": "rotary",
        "norm": "rmsnorm",
        "qk_norm": True,
        "bias": False,
    },
    "model.window=4; GPT-2, the nearest, has null": {"position": "learned", "window": 4},
    "model.mixer=[gru,attention]; GPT-2, the nearest, has attention": {
        "position": "learned",
        "mixer": ["gru", "attention"],
    },
    "model.norm_order=post, model.residual=false; Llama, the nearest, has pre, true": {
        "position": "rotary",
        "norm": "rmsnorm",
        "gated": True,
        "norm_order": "post",
        "residual": False,
    },
    "model.kv_heads=1; GPT-2, the nearest, has null": {"position": "learned", "kv_heads": 1},
}


@pytest.mark.parametrize("message", DIFFERING)
def test_the_key_that_differs_is_named(message):
    from minitx.config.schema import Config
    from minitx.interop.counterparts import no_counterpart

    model = TransformerConfig(name="transformer", **DIFFERING[message])
    assert find_counterpart(model) is None
    assert f"({message})" in str(no_counterpart(Config(model=model)))


def test_values_that_mean_the_same_have_a_counterpart():
    same = {"position": "learned", "kv_heads": 4, "mixer": ["attention", "attention"]}
    found = find_counterpart(TransformerConfig(name="transformer", **same))
    assert found is not None
    assert found.name == "GPT-2"
    assert find_counterpart(RecurrentConfig(name="lstm")) is None


def test_mistakes_are_one_line_and_leave_nothing(exported, script, tmp_path, train):
    run, _ = exported["GPT-2"]
    taken = tmp_path / "taken"
    taken.mkdir()
    train(f"run.dir={tmp_path / 'lstm'}", "model=lstm")
    before = set(tmp_path.rglob("*"))
    cases = {
        f"to={taken} already exists and is never overwritten": [f"run={run.folder}", f"to={taken}"],
        "no folder given: set to=": [f"run={run.folder}"],
        "does not exist: give a run's folder": ["run=nowhere", "to=out"],
        "(model=lstm is not a Transformer): use format=torch": [
            f"run={tmp_path / 'lstm'}",
            f"to={tmp_path / 'out'}",
            "format=transformers",
        ],
        "push=nobody: name the model as user/name": [
            f"run={run.folder}",
            f"to={tmp_path / 'out'}",
            "push=nobody",
        ],
    }
    for message, words in cases.items():
        answer = script("export", *words)
        assert answer.status == 1
        assert message in answer.err
        assert answer.err.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"<img src=x>|": 1.0}},
        {"metrics": {"val/loss\n# heading": 1.0}},
        {"metrics": {"val/loss": "[x](javascript:alert(1))"}},
        {"metrics": None},
        {"steps": "# 5"},
        {"peak_memory_mb": [1]},
        {"git_commit": "<img src=x>"},
        {"versions": {"torch": "2\n# heading"}},
    ],
)
def test_a_summary_that_minitx_did_not_write_enters_no_card(exported, tmp_path, changes):
    run, _ = exported["GPT-2"]
    copy = shutil.copytree(run.folder, tmp_path / "run")
    values = json.loads((copy / "summary.json").read_text(encoding="utf-8"))
    del values["crc32"]
    (copy / "summary.json").write_text(json.dumps(values | changes), encoding="utf-8")
    with pytest.raises(UserError, match=r"summary.json is not one that minitx wrote: delete it"):
        export.export_run(ExportConfig(run=str(copy), to=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_finished_does_not_appear(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(UserError, match="out cannot be written: No space left"):
        export.write_folder(tmp_path / "out", {"README.md": b"a", "in/b.txt": b"b"})
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_how_to_load_it(exported, script, tmp_path):
    run, _ = exported["Llama"]
    answer = script("export", f"run={run.folder}", f"to={tmp_path / 'out'}")
    assert answer.status == 0, answer.err
    assert answer.out.startswith("Llama (LlamaForCausalLM):\n")
    assert "  from transformers import AutoModelForCausalLM\n" in answer.out
    assert f"AutoModelForCausalLM.from_pretrained('{tmp_path / 'out'}')" in answer.out
    assert f"  {tmp_path / 'out' / 'README.md'}\n" in answer.out
