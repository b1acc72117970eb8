"""Test that a mixer declared and registered outside of minitx works everywhere."""

import sys
from dataclasses import dataclass

import pytest
import torch
from tiny_runs import compose

from minitx.commands.help import help_text
from minitx.commands.table import COMMANDS
from minitx.config.compose import composed, register_schemas, to_typed
from minitx.config.fields import key
from minitx.config.mixers import MixerSpec
from minitx.config.schema import MIXERS, MODELS, CompareConfig, declare_mixer
from minitx.errors import UserError
from minitx.nn import mixers
from minitx.study.measure.costs import operations_per_token, state_size
from minitx.study.plan.definition import defined
from minitx.study.plan.run_store import run_key
from minitx.tasks.run import load

SHIFT = """
from dataclasses import dataclass

import torch
from torch import nn

from minitx.config.fields import key
from minitx.nn.mixers import Mixer, register


@dataclass
class ShiftOptions:
    distance: int = key(1, "how far back a shift looks", minimum=1)


class Shift(Mixer):
    def __init__(self, dim, distance):
        super().__init__()
        self.value = nn.Linear(dim, dim)
        self.distance = distance

    def forward(self, x, padding=None, state=None):
        before = x.new_zeros(len(x), self.distance, x.size(-1)) if state is None else state
        inputs = torch.cat([before, x], dim=1)
        return self.value(inputs[:, : x.size(1)]), inputs[:, x.size(1) :]

    def state_size(self, length):
        return self.distance * self.value.in_features


register("shift", lambda shape, *, distance: lambda: Shift(shape.dim, distance))
"""


@pytest.fixture
def shift(monkeypatch, tmp_path):
    """Declares the mixer, for one test."""
    (tmp_path / "shifting.py").write_text(SHIFT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(mixers, "_builders", dict(mixers._builders))
    monkeypatch.delitem(sys.modules, "shifting", raising=False)
    monkeypatch.setitem(MODELS, "transformer", MODELS["transformer"])
    from shifting import ShiftOptions

    declare_mixer(MixerSpec("shift", "shifting", ShiftOptions))
    yield
    del MIXERS["shift"]


@pytest.mark.usefixtures("shift")
def test_a_new_mixer_is_known_to_help_checks_and_studies():
    register_schemas()
    page = help_text(COMMANDS["train"])
    assert "model.distance=1" in page
    assert "average, none, shift" in " ".join(page.split())
    assert compose("model.mixer=shift", "model.distance=3").model.distance == 3
    for words, said in (
        (["model.mixer=shift", "model.distance=0"], "model.distance=0: it must be at least 1"),
        (["model.mixer=lstm", "model.distance=2"], "model.mixer=lstm has no option distance"),
        (["model.mixer=shift", "model.heads=2"], "model.mixer=shift has no option heads"),
        (["model.mixer=shif"], "did you mean shift"),
    ):
        with pytest.raises(UserError, match=said):
            compose(*words)
    study = defined(to_typed(composed("compare", ["study=mixer"]), CompareConfig))
    assert study.arms["shift"] == ["model=transformer", "model.mixer=shift"]
    assert list(study.arms) == list(MIXERS)


@pytest.mark.usefixtures("shift")
def test_a_new_mixer_trains_and_decodes(train, tmp_path):
    words = ["model.mixer=[shift,attention]", "model.distance=2", "model.layers=3"]
    end = ["trainer.max_steps=2", "trainer.val_every=1", "budget.parameters=9000"]
    train(*words, *end, f"run.dir={tmp_path / 'run'}")
    run = load(tmp_path / "run")
    assert run.config.model.mixer == ["shift", "attention"]
    assert run.config.model.distance == 2
    kinds = [type(layer.mixer).__name__ for layer in run.model.backbone.layers]
    assert kinds == ["Shift", "SelfAttention", "Shift"]

    tokens = torch.tensor([run.vocabulary.tokenizer.encode("ROMEO:")])
    together, _ = run.model(tokens)
    state, apart = None, []
    for token in tokens.split(1, dim=1):
        logits, state = run.model(token, state=state)
        apart.append(logits)
    torch.testing.assert_close(torch.cat(apart, dim=1), together, rtol=0, atol=1e-5)

    dim = run.config.model.dim
    assert state_size(run.model, 7) == 2 * 2 * dim + 2 * 7 * dim
    attention, shift = run.model.backbone.layers[1].mixer, run.model.backbone.layers[0].mixer
    assert shift.flops_per_token(7) == 2 * dim**2
    assert attention.flops_per_token(7) == 8 * dim**2 + 4 * dim * (7 + 1) / 2
    assert operations_per_token(run.model, 7) > 2 * shift.flops_per_token(7)


def test_a_new_mixer_leaves_finished_runs_their_names(request):
    before = run_key(compose(), "corpus", "training")
    request.getfixturevalue("shift")
    assert run_key(compose(), "corpus", "training") == before
    assert run_key(compose("model.mixer=shift"), "corpus", "training") != before


@pytest.mark.usefixtures("shift")
def test_a_name_is_declared_once():
    with pytest.raises(UserError, match=r"mixer shift is declared twice"):
        declare_mixer(MixerSpec("shift", "elsewhere"))


def test_an_option_does_not_take_the_name_of_another_key():
    @dataclass
    class Options:
        dim: str = key("wide", "not the width of the model")

    with pytest.raises(UserError, match=r"mixer wide: there is another key model\.dim"):
        declare_mixer(MixerSpec("wide", "elsewhere", Options))
    assert "wide" not in MIXERS
