"""Test the scripts: help, text, evaluation, and a run opened in Python."""

import json
import math
from pathlib import Path

import pytest
import torch
import yaml

import minitx
from minitx.commands.table import COMMANDS
from minitx.config.keys import keys, options
from minitx.config.schema import MODELS, EvaluateConfig
from minitx.data import module
from minitx.tasks import evaluation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])
def test_help_lists_every_key(name, script):
    command = COMMANDS[name]
    answer = script(command.script or name, "--help")
    assert answer.status == 0
    assert answer.err == ""
    for model in MODELS.values():
        for key, field in keys(command.schema, model):
            assert f"{key}" in answer.out
            assert field.metadata["help"].split()[0] in answer.out
    for group in command.groups:
        for option in options(group):
            assert option in answer.out
    assert f"python scripts/{command.script or name}.py" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100


def test_the_composed_config_is_printed(script):
    answer = script("train", "model.heads=8", "--cfg", "job")
    assert answer.status == 0
    assert yaml.safe_load(answer.out)["model"]["heads"] == 8


def test_the_flag_of_a_multirun_may_be_anywhere(script, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert script("train", *tiny, "-m", "seed=3,4").status == 0
    assert len([path for path in Path("runs").iterdir() if path.name != "multirun"]) == 2


@pytest.fixture(scope="module")
def folder(train, tmp_path_factory):
    """A run that learned enough for its choices to differ."""
    folder = tmp_path_factory.mktemp("runs") / "a run, with (odd) name='x'"
    shape = ["model.dim=32", "model.layers=2", "model.context=32", "optimizer.warmup_steps=5"]
    train(f"run.dir={folder}", *shape, "trainer.max_steps=60", "trainer.val_every=30")
    return folder


def write(script, folder, *arguments):
    answer = script("generate", f"run={folder}", "length=80", *arguments)
    assert answer.status == 0, answer.err
    return answer.out


def test_text_starts_with_the_prompt_and_goes_on(script, folder):
    out = write(script, folder, "prompt=ROMEO:")
    assert out.startswith("ROMEO:")
    assert len(out) == len("ROMEO:") + 80 + len("\n")


def test_the_prompt_is_taken_as_it_is(script, folder):
    assert write(script, folder, "prompt=the king").startswith("the king")
    assert write(script, folder, "prompt=king.\\nand").startswith("king.\nand")


def test_a_prompt_may_be_longer_than_the_context(script, folder):
    prompt = "the king of men and his brother love to speak no more."
    assert len(prompt) > 32
    assert write(script, folder, f"prompt={prompt}").startswith(prompt)


def test_a_seed_repeats_the_text_and_another_does_not(script, folder):
    one = write(script, folder, "prompt=ROMEO:", "seed=5")
    assert write(script, folder, "prompt=ROMEO:", "seed=5") == one
    assert write(script, folder, "prompt=ROMEO:", "seed=6") != one


def test_samples_differ_and_the_first_is_the_one_alone(script, folder):
    out = write(script, folder, "prompt=ROMEO:", "samples=3")
    samples = []
    for number in (1, 2, 3):
        heading = f"--- sample {number} of 3 ---\n"
        assert out.count(heading) == 1
        samples.append(out.partition(heading)[2].partition("--- sample")[0])
    assert len(set(samples)) == 3
    assert all(sample.startswith("ROMEO:") for sample in samples)
    assert samples[0] == write(script, folder, "prompt=ROMEO:")


@pytest.mark.parametrize("greedy", ["temperature=0", "top_k=1", "top_p=1e-9"])
def test_at_temperature_zero_every_seed_writes_the_same(greedy, script, folder):
    one = write(script, folder, "prompt=ROMEO:", greedy, "seed=1")
    assert write(script, folder, "prompt=ROMEO:", greedy, "seed=2") == one
    assert one == write(script, folder, "prompt=ROMEO:", "temperature=0")


def test_a_checkpoint_alone_is_enough(script, folder, tmp_path):
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes((folder / "checkpoints" / "best.ckpt").read_bytes())
    assert write(script, lone, "prompt=ROMEO:") == write(script, folder, "prompt=ROMEO:")


def evaluated(script, folder, *arguments):
    """The table of scripts/evaluate.py as {row: value}, and its whole answer."""
    answer = script("evaluate", f"run={folder}", *arguments)
    assert answer.status == 0, answer.err
    rows = [line.strip("│\n").split("│") for line in answer.out.splitlines() if line[:1] == "│"]
    assert all(interval.strip() for _, _, interval in rows)
    return {name.strip(): value.strip() for name, value, _ in rows}, answer


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_prints_what_the_summary_says(split, script, folder):
    metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
    table, _ = evaluated(script, folder, f"split={split}")
    assert table == {
        "loss (nats/token)": f"{metrics[f'{split}/loss']:.4f}",
        "bits per byte": f"{metrics[f'{split}/bits_per_byte']:.4f}",
        "perplexity": f"{metrics[f'{split}/perplexity']:.4f}",
        "accuracy": f"{metrics[f'{split}/accuracy']:.4f}",
    }


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_leaves_its_figures_in_the_folder(split, script, folder):
    path = folder / f"evaluation_{split}.json"
    path.unlink(missing_ok=True)
    before = set(folder.rglob("*"))
    _, answer = evaluated(script, folder, f"split={split}")
    assert set(folder.rglob("*")) - before == {path}  # of a text there are no outputs to keep
    assert f"  {path}\n" in answer.out
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["split"], found["checkpoint"]) == (split, "best.ckpt")
    assert found["step"] == minitx.load(folder).step
    for name, (low, high) in found["intervals"].items():
        assert low < found["metrics"][name] < high
    metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
    assert {f"{split}/{name}" for name in found["metrics"]} == {
        name for name in metrics if name.startswith(f"{split}/")
    }
    for name, value in found["metrics"].items():
        assert value == pytest.approx(metrics[f"{split}/{name}"], rel=1e-6)


@pytest.mark.parametrize("tokens", [32, 1000, 100_000])
def test_evaluation_equals_the_summary_whatever_the_batch(tokens, folder, monkeypatch):
    monkeypatch.setattr(module, "EVALUATION_TOKENS", tokens)
    run, found = evaluation.evaluate(EvaluateConfig(run=str(folder)))
    metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
    assert {f"val/{name}": value for name, value in found.metrics.items()} == pytest.approx(
        {name: value for name, value in metrics.items() if name.startswith("val/")}, rel=1e-6
    )
    assert set(found.intervals) == set(found.metrics)
    assert (found.outputs, found.confusion) == ([], None)
    assert run.path == folder / "checkpoints" / "best.ckpt"


def test_evaluation_is_the_mean_over_every_token(folder, text_file):
    """Computed by hand, a window at a time, over the text's end."""
    run = minitx.load(folder)
    text, size = text_file.read_text(encoding="utf-8"), text_file.stat().st_size
    held = int(size * 0.05)
    start, stop = (text.index("\n", size - held * n) + 1 for n in (2, 1))
    ids = torch.tensor(run.tokenizer.encode(text[start:stop]))
    total = 0.0
    for first in range(0, len(ids) - 1, 32):
        window = ids[first : first + 33]
        with torch.no_grad():
            logits, _ = run.model(window[None, :-1])
        total += float(torch.nn.functional.cross_entropy(logits[0], window[1:], reduction="sum"))
    _, found = evaluation.evaluate(EvaluateConfig(run=str(folder)))
    assert found.metrics["loss"] == pytest.approx(total / (len(ids) - 1), rel=1e-6)
    bits = total / math.log(2) / (len(ids) - 1)
    assert found.metrics["bits_per_byte"] == pytest.approx(bits)


@pytest.mark.parametrize("what", ["folder", "best.ckpt", "last.ckpt"])
def test_load_gives_a_model_to_use(what, folder):
    path = folder if what == "folder" else folder / "checkpoints" / what
    run = minitx.load(path)
    assert not run.model.training
    assert not any(module.training for module in run.model.modules())
    assert run.device == torch.device("cpu")
    assert run.config.model.dim == 32
    assert run.step in (30, 60)
    ids = run.tokenizer.encode("ROMEO")
    assert run.tokenizer.decode(ids) == "ROMEO"
    with torch.no_grad():
        logits, _ = run.model(torch.tensor([ids]))
    assert logits.shape == (1, 5, run.tokenizer.vocab_size)
    assert {parameter.device for parameter in run.model.parameters()} == {run.device}


def test_load_takes_the_best_checkpoint_or_the_last(folder):
    assert minitx.load(folder).path.name == "best.ckpt"
    last = minitx.load(folder, last=True)
    assert last.path.name == "last.ckpt"
    assert last.step == 60
