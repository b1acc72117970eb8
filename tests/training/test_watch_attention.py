"""Test the attention maps drawn during training, and that they do not change the training."""

from fnmatch import fnmatch
from itertools import chain, repeat

import pytest
from run_files import assert_same, checkpoint, files, rows, series, summary
from wandb_files import wandb_run

import minitx
from minitx.drawing.figures import png
from minitx.inspection.grid import attention_grid
from minitx.inspection.head_names import measured_heads
from minitx.inspection.history import HISTORY, read_history
from minitx.inspection.induction import induction_score
from minitx.tasks.language_modeling import LanguageModelingTask
from minitx.tasks.open import open_task

WATCHED = "trainer.watch_attention=true"
CHANGED = ("model.dropout=0.1", "optimizer.schedule=constant")  # the rate depends on no last step
PICTURES = {"attention/step_5.png", "attention/step_10.png"}


@pytest.fixture(scope="module")
def watched(train, tmp_path_factory):
    """A run with dropout and with W&B, watched."""
    folder = tmp_path_factory.mktemp("runs") / "watched"
    train(f"run.dir={folder}", WATCHED, *CHANGED, "logger=wandb")
    return folder


def pictures(folder):
    return {name for name in files(folder) if fnmatch(name, "attention/*.png")}


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


def test_the_history_holds_the_same_maps_in_small(watched):
    frames = read_history(watched / HISTORY)
    assert [frame.plain["step"] for frame in frames] == [5, 10]
    run = minitx.load(watched, last=True)
    text = open_task(run.config).example()
    maps, newest = minitx.attention(run, text), frames[-1]
    assert newest.plain["text"] == text
    for kept, each in zip(newest.maps, maps.maps, strict=True):
        assert kept.queries == each.queries
        assert (kept.weights - each.weights).abs().max() < 0.004
    scores = induction_score(run.model, run.tokenizer.vocab_size, samples=4)
    measured = measured_heads(maps.maps[0], scores)
    for head, expected in zip(newest.measured[0], measured, strict=True):
        assert head.pop("name") == expected.pop("name")
        assert head == pytest.approx(expected, abs=1e-4)


def test_a_resumed_run_leaves_the_same_history(watched, train, tmp_path):
    folder, last = tmp_path / "run", "checkpoints/last.ckpt"
    train(f"run.dir={folder}", WATCHED, *CHANGED, "trainer.max_steps=5")
    assert (folder / last).exists()
    # As if the run was killed after a validation, before its checkpoint.
    (folder / HISTORY).write_bytes((watched / HISTORY).read_bytes())
    train(f"resume={folder}", "trainer.max_steps=10")
    one, other = (read_history(place / HISTORY) for place in (watched, folder))
    assert [frame.plain for frame in one] == [frame.plain for frame in other]


def test_training_is_the_same_to_the_bit(watched, train, tmp_path):
    folder = tmp_path / "run"
    train(f"run.dir={folder}", *CHANGED)  # unwatched, as the tests' tiny runs are
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


def test_a_text_that_cannot_be_inspected_ends_no_training(train, tmp_path, monkeypatch):
    """An empty one, and one that is too long; the next one is drawn."""
    texts = chain(["", 17 * "k"], repeat("king"))
    monkeypatch.setattr(LanguageModelingTask, "example", lambda self: next(texts))
    folder = tmp_path / "run"
    train(f"run.dir={folder}", WATCHED, "trainer.max_steps=6", "trainer.val_every=2")
    assert summary(folder)["status"] == "finished"
    assert pictures(folder) == {"attention/step_6.png"}
