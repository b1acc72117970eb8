"""Test that every kind of language model learns, and that its folder has all files."""

import json
import math
import re
import subprocess
import sys
import zlib
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import yaml
from run_files import (
    OVERFITTING,
    assert_same,
    checkpoint,
    columns,
    files,
    rows,
    series,
    summary,
)

import minitx
from minitx.config.compose import read_config
from minitx.training.environment import CHANGED

ROOT = Path(__file__).parents[2]

STEPS, BATCH, CONTEXT, DIM, LAYERS = 60, 16, 32, 32, 2

COMMON = [
    f"model.dim={DIM}",
    f"model.layers={LAYERS}",
    f"model.context={CONTEXT}",
    f"data.batch_size={BATCH}",
    f"trainer.max_steps={STEPS}",
    "trainer.val_every=20",
    "trainer.log_every=10",
    "optimizer.warmup_steps=5",
]

KINDS = {
    "eight heads": ["model.heads=8"],
    "lstm": ["model=lstm"],
    "gru": ["model=gru"],
    "rnn": ["model=rnn"],
    "lstm in place of attention": ["model.mixer=lstm"],
    "as GPT-2": ["experiment=plain"],
}


@pytest.fixture(scope="module", params=KINDS, ids=str)
def finished(request, train, tmp_path_factory):
    """A finished run of each kind, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(f"run.dir={folder}", *COMMON, *KINDS[request.param]), folder


def test_it_learns(finished):
    run, folder = finished
    losses = series(folder, "val/loss")
    assert list(losses) == [20, 40, 60]
    assert losses[60] < losses[20] - 0.1
    assert losses[60] < math.log(run.tokenizer.vocab_size) - 0.5
    assert series(folder, "train/loss")[60] < series(folder, "train/loss")[10] - 0.3


def test_the_folder_holds_these_files_and_no_others(finished):
    _, folder = finished
    assert files(folder) == {
        "config.yaml",
        "metrics.csv",
        "metrics.crc32",
        "summary.json",
        "tokenizer.json",
        "samples.txt",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }


def test_metrics_have_these_names_and_one_row_a_logging_step(finished):
    _, folder = finished
    training = ["train/loss", "grad_norm", "lr", "tokens_per_second"]
    validation = ["val/loss", "val/perplexity", "val/accuracy", "val/bits_per_byte"]
    test = [name.replace("val/", "test/") for name in validation]
    seen = ["tokens_seen", "train_seconds"]
    assert columns(folder) == ["step", *training, *validation, *seen, *test]
    table = rows(folder, timed=True)
    assert list(table) == [10, 20, 30, 40, 50, 60]
    for step, row in table.items():
        measured = [
            *([*validation, *seen] if step % 20 == 0 else []),
            *(test if step == 60 else []),
        ]
        assert set(row) == {*training, *measured}
        assert row["grad_norm"] > 0
        assert row["tokens_per_second"] > 0
        assert row["lr"] > 0


def test_the_validation_metrics_agree_with_each_other(finished):
    _, folder = finished
    for row in rows(folder).values():
        if "val/loss" in row:  # the text is ASCII: a character is a byte
            assert row["val/perplexity"] == pytest.approx(math.exp(row["val/loss"]), rel=1e-5)
            assert row["val/bits_per_byte"] == pytest.approx(row["val/loss"] / math.log(2))
            assert 0 < row["val/accuracy"] < 1


def train_tokens(text_file):
    """Characters before the two twentieths that are held out, each of which begins a line."""
    size = text_file.stat().st_size
    return text_file.read_text(encoding="utf-8").index("\n", size - 2 * int(size * 0.05)) + 1


def test_the_summary_is_complete(finished, text_file):
    run, folder = finished
    found = summary(folder)
    assert set(found) == {
        *["task", "model", "parameters", "parameters_non_embedding", "steps", "tokens_seen"],
        *["train_seconds", "tokens_per_second", "peak_memory_mb", "metrics", "seed"],
        *["data", "data_fingerprint", "git_commit", "versions", "status"],
        *["cpu_seconds", "threads", "ended_by"],
    }
    assert found["data"] == {
        "train_tokens": train_tokens(text_file),
        "train_share": 1,
        "validation_fraction": 1,
    }
    assert found["status"] == "finished"
    assert (found["task"], found["model"]) == ("text", run.config.model.name)
    assert (found["steps"], found["seed"]) == (STEPS, 1)
    assert found["tokens_seen"] == STEPS * BATCH * CONTEXT
    assert 0 < found["train_seconds"] < 60
    assert found["threads"] == torch.get_num_threads()
    most = found["threads"] + 1  # Python may work while torch's threads still wait actively
    assert 0 < found["cpu_seconds"] < 1.2 * most * found["train_seconds"]
    speed = found["tokens_seen"] / found["train_seconds"]
    assert found["tokens_per_second"] == pytest.approx(speed, rel=0.05)
    assert 50 < found["peak_memory_mb"] < 10_000
    assert re.fullmatch("[0-9a-f]{64}", found["data_fingerprint"])
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["python"] == sys.version.split()[0]
    assert found["versions"]["lightning"] == version("lightning")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    commit = found["git_commit"]
    assert (commit and commit.removesuffix(CHANGED)) == (head.stdout.strip() or None)


def test_the_summary_measures_the_best_checkpoint(finished):
    run, folder = finished
    metrics = summary(folder)["metrics"]
    names = ["loss", "perplexity", "bits_per_byte", "accuracy"]
    assert set(metrics) == {f"{split}/{name}" for split in ("val", "test") for name in names}
    best = min(series(folder, "val/loss"), key=series(folder, "val/loss").get)
    assert run.step == best
    assert run.path == folder / "checkpoints" / "best.ckpt"
    for name in names:
        assert metrics[f"val/{name}"] == rows(folder)[best][f"val/{name}"]
    assert metrics["test/loss"] == pytest.approx(metrics["val/loss"], abs=0.3)


# Numbers outside the embeddings, by hand: weights, then biases, norms and norms of heads.
INNER = {
    "eight heads": LAYERS * (12 * DIM**2 + 2 * DIM + 2 * DIM // 8) + DIM,
    "lstm": LAYERS * (8 * DIM**2 + 8 * DIM),
    "gru": LAYERS * (6 * DIM**2 + 6 * DIM),
    "rnn": LAYERS * (2 * DIM**2 + 2 * DIM),
    "lstm in place of attention": LAYERS * (8 * DIM**2 + 8 * DIM + 8 * DIM**2 + 2 * DIM) + DIM,
    "as GPT-2": LAYERS * (12 * DIM**2 + 4 * DIM) + 2 * DIM,
}


def test_parameters_are_counted_right(finished, request):
    run, folder = finished
    kind = request.node.callspec.params["finished"]
    positions = CONTEXT * DIM if kind == "as GPT-2" else 0
    assert summary(folder)["parameters_non_embedding"] == INNER[kind]
    everything = INNER[kind] + positions + run.tokenizer.vocab_size * DIM
    assert summary(folder)["parameters"] == everything


@pytest.mark.parametrize("finished", ["eight heads", "lstm"], indirect=True)
def test_the_config_alone_repeats_the_run(finished, tmp_path):
    _, folder = finished
    config = read_config(folder / "config.yaml")
    config.run.dir = str(tmp_path / "again")
    minitx.train(config)
    assert rows(tmp_path / "again") == rows(folder)
    assert summary(tmp_path / "again", timed=False) == summary(folder, timed=False)
    for name in ("best", "last"):
        one, other = checkpoint(folder, name), checkpoint(tmp_path / "again", name)
        assert_same(one["state_dict"], other["state_dict"])


def test_what_is_published_is_the_best_checkpoint(train, tmp_path):
    """Also where the last validation is not the best."""
    folder = tmp_path / "run"
    run = train(f"run.dir={folder}", *OVERFITTING, "trainer.max_steps=40")
    losses = series(folder, "val/loss")
    best = min(losses, key=losses.get)
    assert best != 40, "choose another share"
    assert run.step == best
    assert summary(folder)["metrics"]["val/loss"] == losses[best]
    assert summary(folder)["steps"] == 40


def test_another_seed_is_another_run(train, tmp_path):
    for seed in (1, 2):
        train(f"run.dir={tmp_path / str(seed)}", f"seed={seed}")
    one, two = (summary(tmp_path / str(seed)) for seed in (1, 2))
    assert one["metrics"]["val/loss"] != two["metrics"]["val/loss"]
    assert one["data_fingerprint"] == two["data_fingerprint"]
    assert (one["seed"], two["seed"]) == (1, 2)


def test_a_share_of_the_text_has_the_same_fingerprint(train, tmp_path, text_file, capsys):
    train(f"run.dir={tmp_path / 'whole'}")
    train(f"run.dir={tmp_path / 'part'}", "data.train_fraction=0.25")
    whole, part = (summary(tmp_path / name) for name in ("whole", "part"))
    assert whole["data_fingerprint"] == part["data_fingerprint"]
    assert part["data"]["train_tokens"] == pytest.approx(whole["data"]["train_tokens"] / 4, abs=1)
    assert part["metrics"] != whole["metrics"]
    assert "tokens to train on, 25% of all" in capsys.readouterr().err


def test_another_text_has_another_fingerprint(train, tmp_path, text_file):
    other = tmp_path / "other.txt"
    text = text_file.read_text(encoding="utf-8")
    other.write_text("K" + text[1:], encoding="utf-8")
    assert text[0] != "K"
    train(f"run.dir={tmp_path / 'one'}")
    train(f"run.dir={tmp_path / 'two'}", f"data.path={other}")
    one, two = (summary(tmp_path / name)["data_fingerprint"] for name in ("one", "two"))
    assert one != two


def test_results_are_whole_files(finished):
    """Atomic writing leaves no temporary file, and everybody may read what is published."""
    _, folder = finished
    assert not [name for name in files(folder) if Path(name).name.startswith(".")]
    for name in ("config.yaml", "summary.json", "tokenizer.json", "metrics.csv"):
        assert (folder / name).stat().st_mode & 0o444 == 0o444
    assert yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["resume"] is None
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert (folder / "samples.txt").read_text(encoding="utf-8").count("--- step") == 3


def test_files_that_are_read_again_have_checksums(finished):
    _, folder = finished
    assert len(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["crc32"]) == 8
    assert (folder / "config.yaml").read_text(encoding="utf-8").startswith("# crc32 ")
    table = (folder / "metrics.csv").read_bytes()
    assert (folder / "metrics.crc32").read_text() == f"{zlib.crc32(table):08x} {len(table):016d}\n"


def test_two_half_batches_are_one_batch(train, tmp_path, monkeypatch):
    """trainer.accumulate=2 with half the batch: the same losses, gradients and weights."""
    from minitx.data import module

    common = ["trainer.precision=64-true", "optimizer=adamw", "trainer.max_steps=10"]
    folders = tmp_path / "halves", tmp_path / "whole"
    train(f"run.dir={folders[0]}", "trainer.accumulate=2", "data.batch_size=4", *common)

    class Joined(module.RandomWindows):
        """Batch i is batches 2i and 2i + 1 of half the size, which accumulation adds up."""

        def __init__(self, tokens, context, batch_size, *others):
            super().__init__(tokens, context, batch_size // 2, *others)

        def __getitem__(self, batch):
            pairs = [super(Joined, self).__getitem__(2 * batch + half) for half in (0, 1)]
            return tuple(torch.cat(tensors) for tensors in zip(*pairs, strict=True))

    monkeypatch.setattr(module, "RandomWindows", Joined)
    train(f"run.dir={folders[1]}", "data.batch_size=8", *common)
    halves, whole = (rows(folder) for folder in folders)
    assert list(halves) == list(whole) == list(range(1, 11))
    for step in whole:
        assert halves[step] == pytest.approx(whole[step], abs=1e-6)
    assert summary(folders[0])["tokens_seen"] == summary(folders[1])["tokens_seen"]


def test_the_default_run_of_embedded_plays(script, tmp_path):
    """The command of the README with nothing but fewer steps: W&B, Muon, the plays."""
    answer = script(
        *["train", f"run.dir={tmp_path / 'run'}", "trainer.max_steps=3", "model.dim=16"],
        *["model.layers=1", "model.context=128"],
    )
    assert (answer.status, answer.err.count("Traceback")) == (0, 0)
    found = summary(tmp_path / "run")
    assert (found["task"], found["model"], found["steps"]) == ("shakespeare", "transformer", 3)
    assert str(tmp_path / "run") in answer.out
    assert "bits per byte" in answer.out
    assert f"resume={tmp_path / 'run'}" in answer.out
    assert (tmp_path / "run" / "wandb").is_dir()


def test_tiny_shakespeare_from_its_file(train, tmp_path):
    data = ROOT.parent / "shared" / "data"
    if not (data / "tiny_shakespeare" / "input.txt").is_file():
        pytest.skip(f"tiny_shakespeare is not in {data}")
    small = ["model.context=256", "trainer.max_steps=2"]
    where = ["data.path=null", f"data.dir={data}"]
    train(f"run.dir={tmp_path / 'run'}", "task=tiny_shakespeare", *where, *small)
    found = summary(tmp_path / "run")
    assert found["task"] == "tiny_shakespeare"
    assert "val/loss" in found["metrics"]
    assert "test/loss" not in found["metrics"]  # the usual split has no test set
