"""Runs on associative recall: learned, resumed, measured near and far, looked into."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY
from run_files import rows, series, summary
from stopping import assert_same_run, stop
from torch import nn

import minitx
from minitx.config import DecodingConfig
from minitx.data.recall import FIRST_VALUE
from minitx.data.windows import IGNORE
from minitx.errors import UserError
from minitx.setups import open_setup
from minitx.setups.recall import RecallSetup

RECALL = [*TINY, "task=recall", "task.pairs=2", "data.batch_size=16"]
# Of two pairs the answer is one of two values; to tell which takes a mixer that looks back.
LEARNING = ["model.dim=32", "optimizer.lr=1e-2", "trainer.max_steps=200", "trainer.val_every=100"]


class LooksBack(nn.Module):
    """Finds where the token before stood first, and names what followed it."""

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, tokens):
        first = (tokens[:, :, None] == tokens[:, None]).int().argmax(dim=2)  # (B, T)
        following = tokens.gather(1, (first + 1).clamp(max=tokens.size(1) - 1))
        return F.one_hot(following, self.vocab_size).float() + self.nothing, None


@pytest.fixture(scope="module", params=["transformer", "lstm", "gru", "rnn", "average"])
def finished(request, train, tmp_path_factory):
    """A run of each model, and of a mixer that is not attention."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    mixer = ["model.mixer=average", "model.position=learned"]
    model = mixer if request.param == "average" else [f"model={request.param}"]
    return train(*RECALL, *LEARNING, *model, f"run.dir={folder}"), folder


def test_it_learns_and_its_figures_are_of_the_queries(finished):
    run, folder = finished
    first, *_, last = series(folder, "train/loss").values()
    assert last < first - 0.5
    inputs, targets = open_setup(run.config).store.split("test").tensors
    with torch.no_grad():
        logits, _ = run.model(inputs)
    asked = targets != IGNORE
    assert asked.sum() == 2 * len(inputs)
    found = summary(folder)["metrics"]
    right = logits[asked].argmax(dim=-1) == targets[asked]
    assert found["test/accuracy"] == pytest.approx(float(right.float().mean()))
    loss = float(F.cross_entropy(logits[asked], targets[asked]))
    assert found["test/loss"] == pytest.approx(loss, rel=1e-4)
    assert "test/bits_per_byte" not in found
