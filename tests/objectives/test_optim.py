"""Test optimizers: their parameters, Muon together with AdamW, and resuming bit for bit."""

import math
from dataclasses import replace

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.plugins import MixedPrecision
from model_kinds import CONFIGS, VOCAB, make_model
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from minitx.config.schema import OptimizerConfig
from minitx.models.build import language_model
from minitx.nn.short_convolution import ShortConvolution
from minitx.objectives.language_modeling import LanguageModeling
from minitx.objectives.muon import Muon
from minitx.objectives.optim import (
    MuonWithAdamW,
    clip_gradients,
    make_optimizer,
    split_parameters,
    stacked_parts,
)

MUON = OptimizerConfig(name="muon", lr=3e-3, muon_lr=0.01)
ADAMW = OptimizerConfig(name="adamw", lr=3e-3)

every_model = pytest.mark.parametrize("name", CONFIGS)
both = pytest.mark.parametrize("config", [MUON, ADAMW], ids=["muon", "adamw"])


def same(parameters, others):
    return sorted(map(id, parameters)) == sorted(map(id, others))


def groups_of(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def backward(model, seed):
    """The gradients of a random batch."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCAB, (2, 6), generator=generator)
    model.zero_grad()
    logits, _ = model(tokens[:, :-1])
    F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@every_model
@both
def test_every_parameter_is_in_one_group(name, config):
    model = make_model(name)
    optimizer = make_optimizer(model, config)
    assert same(groups_of(optimizer), model.parameters())


@every_model
def test_tables_are_not_orthogonalised(name):
    model = make_model(name)
    matrices, tables, _ = split_parameters(model)
    expected = {id(model.embedding.table.weight), id(model.to_logits.weight)}
    if CONFIGS[name].__dict__.get("position") == "learned":
        expected.add(id(model.embedding.position.table))
    kernels = {id(part.weight) for part in model.modules() if isinstance(part, ShortConvolution)}
    assert {id(table) for table in tables} == expected | kernels
    backbone = [p for p in model.backbone.parameters() if p.ndim == 2 and id(p) not in kernels]
    assert same(matrices, backbone)
    assert same(groups_of(make_optimizer(model, MUON).parts["muon"]), backbone)


@every_model
@both
def test_only_matrices_and_tables_decay(name, config):
    model = make_model(name)
    for group in make_optimizer(model, config).param_groups:
        decayed = group["weight_decay"] == config.weight_decay
        assert decayed or group["weight_decay"] == 0
        assert all((parameter.ndim >= 2) == decayed for parameter in group["params"])


def test_frozen_parameters_are_left_out():
    model = make_model("attention, learned")
    model.embedding.table.weight.requires_grad_(False)
    kept = [p for p in model.parameters() if p is not model.embedding.table.weight]
    assert same(groups_of(make_optimizer(model, MUON)), kept)


def test_the_config_reaches_both_parts():
    config = replace(MUON, momentum=0.8, beta1=0.7, beta2=0.6, weight_decay=0.5)
    muon, adamw = make_optimizer(make_model("recipe"), config).parts.values()
    assert [muon.defaults[key] for key in ("lr", "momentum", "weight_decay")] == [0.01, 0.8, 0.5]
    assert (adamw.defaults["lr"], adamw.defaults["betas"]) == (3e-3, (0.7, 0.6))


def test_both_at_once_equal_each_alone():
    model, twin = make_model("recipe"), make_model("recipe")
    twin.load_state_dict(model.state_dict())
    optimizer = make_optimizer(model, MUON)
    matrices = {id(p) for p in twin.backbone.parameters() if p.ndim == 2}
    muon = Muon(
        [p for p in twin.parameters() if id(p) in matrices],
        lr=MUON.muon_lr,
        momentum=MUON.momentum,
        weight_decay=MUON.weight_decay,
        parts=stacked_parts(twin),
    )
    rest = [p for p in twin.parameters() if id(p) not in matrices]
    adamw = AdamW(
        [
            {"params": [p for p in rest if p.ndim == 2], "weight_decay": MUON.weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=MUON.lr,
        betas=(MUON.beta1, MUON.beta2),
    )
    for step in range(4):
        backward(model, step)
        optimizer.step()
        backward(twin, step)
        muon.step()
        adamw.step()
        # Fused and plain AdamW round weights below 2 differently, by 2 eps = 2.4e-7 in each of 4
        # steps, and the gradients that follow from them; a step itself is 3e-3.
        torch.testing.assert_close(weights(model), weights(twin), rtol=0, atol=1e-5)


def test_step_gives_back_the_loss_of_its_closure():
    model = make_model("recipe")
    optimizer = make_optimizer(model, MUON)

    def closure():
        optimizer.zero_grad()
        loss = model(torch.zeros(1, 3, dtype=torch.long))[0].square().mean()
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert closure() < first


class Training:
    """A model, its optimizer and a schedule, which can be saved and go on."""

    def __init__(self, config):
        torch.manual_seed(1)
        self.model = make_model("recipe")
        self.optimizer = make_optimizer(self.model, config)
        self.schedule = LambdaLR(self.optimizer, lambda step: 1 / (1 + step))

    def steps(self, numbers):
        for number in numbers:
            backward(self.model, number)
            self.optimizer.step()
            self.schedule.step()

    def parts(self):
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}


@both
def test_a_saved_training_resumes_bit_for_bit(config, tmp_path):
    through, stopped, resumed = Training(config), Training(config), Training(config)
    through.steps(range(7))
    stopped.steps(range(3))
    state = {name: part.state_dict() for name, part in stopped.parts().items()}
    torch.save(state, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for name, part in resumed.parts().items():
        part.load_state_dict(state[name])
    resumed.steps(range(3, 7))
    assert torch.equal(weights(resumed.model), weights(through.model))


@pytest.mark.parametrize("loaded", [False, True])
def test_a_schedule_moves_both_parts(loaded):
    training = Training(MUON)
    if loaded:
        training.optimizer.load_state_dict(training.optimizer.state_dict())
    training.steps(range(3))
    muon, adamw = training.optimizer.parts.values()
    assert {group["lr"] for group in muon.param_groups} == {0.01 / 4}
    assert {group["lr"] for group in adamw.param_groups} == {3e-3 / 4}
    own = muon.param_groups + adamw.param_groups
    assert all(a is b for a, b in zip(training.optimizer.param_groups, own, strict=True))


def batches(count, tokens=None):
    tokens = torch.randint(VOCAB, (count, 2, 9)) if tokens is None else tokens
    return DataLoader([(row[:, :-1], row[:, 1:]) for row in tokens], batch_size=None)


def fit(task, data, **settings):
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=len(data),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(task, data)


def make_task(config):
    torch.manual_seed(1)
    model = language_model(CONFIGS["recipe"], VOCAB)
    lengths = torch.ones(VOCAB).long()
    return LanguageModeling(model, config, 1, lambda: 0.0, {}, byte_lengths=lengths)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice
def test_lightning_steps_both_parts():
    data = batches(3)
    task, by_hand = make_task(MUON), make_task(MUON)
    fit(task, data)
    setup = by_hand.configure_optimizers()
    optimizer, schedule = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    for inputs, targets in data:
        optimizer.zero_grad()
        logits, _ = by_hand.model(inputs)
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(by_hand.model.parameters(), MUON.clip_norm)
        optimizer.step()
        schedule.step()
    assert torch.equal(weights(task.model), weights(by_hand.model))
    assert isinstance(optimizer, MuonWithAdamW)


@both
@pytest.mark.filterwarnings("ignore")
def test_clipping_sees_gradients_without_loss_scaling(config):
    # Loss scaling (trainer.precision=16-mixed) multiplies the loss by 65,536.
    data = batches(1)
    plain, scaled = make_task(config), make_task(config)
    fit(plain, data)
    fit(scaled, data, plugins=[MixedPrecision("16-mixed", "cpu")])
    assert scaled.grad_norm.item() == pytest.approx(plain.grad_norm.item(), rel=0.02)


@pytest.mark.parametrize("limit", [0.1, 1e6, None])
def test_clipping_is_torchs_and_returns_the_norm_before(limit):
    model, twin = make_model("recipe"), make_model("recipe")
    twin.load_state_dict(model.state_dict())
    backward(model, 0)
    backward(twin, 0)
    before = torch.cat([p.grad.flatten() for p in model.parameters()])
    norm = clip_gradients(model.parameters(), limit)
    assert norm.item() == pytest.approx(math.sqrt(before.square().sum().item()), rel=1e-5)
    if limit is not None:
        nn.utils.clip_grad_norm_(twin.parameters(), limit)
    for parameter, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad)
    after = torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()
    assert after == pytest.approx(min(norm.item(), limit or math.inf), rel=1e-4)


def test_queries_and_keys_are_taken_apart_into_heads_and_a_gru_into_gates():
    attention = make_model("recipe").backbone.layers[0].mixer
    config = replace(CONFIGS["recipe"], kv_heads=CONFIGS["recipe"].heads // 2)
    grouped = language_model(config, VOCAB).backbone.layers[0].mixer
    for mixer in (attention, grouped):
        assert stacked_parts(mixer) == {
            mixer.query.weight: (0, mixer.heads),
            mixer.key.weight: (0, mixer.kv_heads),
        }
    gru, lstm = nn.GRU(3, 4, bidirectional=True), nn.LSTM(3, 4)
    assert stacked_parts(gru) == {m: (0, 3) for m in gru.parameters() if m.ndim == 2}
    assert stacked_parts(lstm) == {}


def test_a_model_without_matrices_has_no_muon():
    model = language_model(replace(CONFIGS["recipe"], mixer="none", feedforward=False), VOCAB)
    assert type(make_optimizer(model, MUON)) is AdamW
