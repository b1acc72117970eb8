"""Test the attention maps drawn during training, and that they do not change the training."""

from itertools import chain, repeat

import pytest
from run_files import assert_same, checkpoint, files, rows, series, summary
from wandb_files import wandb_run

import minitx
from minitx.drawing.figures import png
from minitx.inspection.grid import attention_grid
from minitx.tasks.language_modeling import LanguageModelingTask
from minitx.tasks.open import open_task

WATCHED = "trainer.watch_attention=true"
PICTURES = {"attention/step_5.png", "attention/step_10.png"}


@pytest.fixture(scope="module")
def watched(train, tmp_path_factory):
    """A run with dropout and with W&B, watched."""
    folder = tmp_path_factory.mktemp("runs") / "watched"
    train(f"run.dir={folder}", WATCHED, "model.dropout=0.1", "logger=wandb")
    return folder


def pictures(folder):
    return {name for name in files(folder) if name.startswith("attention/")}


def test_every_validation_leaves_a_picture(watched):
    assert pictures(watched) == PICTURES
    assert set(series(watched, "val/loss")) == {5, 10}


def test_it_shows_what_the_model_of_that_step_attends_to(watched):
    run = minitx.load(watched, last=True)
    assert run.step == 10
    text = open_task(run.config).example()
    assert len(run.tokenizer.encode(text)) == 16
    expected = png(attention_grid(minitx.attention(run, text)))
    assert (watched / "attention/step_10.png").read_bytes() == expected
    assert (watched / "attention/step_5.png").read_bytes() != expected


def test_training_is_the_same_to_the_bit(watched, train, tmp_path):
    folder = tmp_path / "run"
    train(f"run.dir={folder}", "model.dropout=0.1")  # unwatched, as the tests' tiny runs are
    assert pictures(folder) == set()
    assert rows(folder) == rows(watched)
    for name in ("best", "last"):
        one, other = checkpoint(folder, name), checkpoint(watched, name)
        for key in ("state_dict", "optimizer_states", "global_step"):
            assert_same(one[key], other[key], key)
    samples = [(place / "samples.txt").read_bytes() for place in (folder, watched)]
    assert samples[0] == samples[1]


def test_wandb_gets_the_pictures(watched):
    images = [row for row in wandb_run(watched)["history"] if "attention/filenames" in row]
    assert len(images) == 2
    (media,) = (watched / "wandb").glob("offline-run-*/files/media/images")
    kept = {path.read_bytes() for path in media.glob("attention_*.png")}
    assert kept == {(watched / name).read_bytes() for name in PICTURES}


def test_of_a_model_without_attention_there_is_nothing(train, tmp_path):
    folder = tmp_path / "run"
    train(f"run.dir={folder}", WATCHED, "model=lstm", "trainer.max_steps=5")
    assert not (folder / "attention").exists()


def test_a_text_that_cannot_be_looked_at_ends_no_training(train, tmp_path, monkeypatch):
    """An empty one, and one that is too long; the next one is drawn."""
    texts = chain(["", 17 * "k"], repeat("king"))
    monkeypatch.setattr(LanguageModelingTask, "example", lambda self: next(texts))
    folder = tmp_path / "run"
    train(f"run.dir={folder}", WATCHED, "trainer.max_steps=6", "trainer.val_every=2")
    assert summary(folder)["status"] == "finished"
    assert pictures(folder) == {"attention/step_6.png"}
