"""Test averages of weights: what is averaged, when the average is used, and what stays the same."""

import signal
from fractions import Fraction

import lightning as L
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import ModelCheckpoint
from run_files import assert_same, checkpoint, files, rows
from torch import nn
from torch.utils.data import DataLoader

import minitx
import minitx.training.train
from minitx.errors import UserError
from minitx.training.averaging import RAW, MovingAverage, average_checkpoints

# --- the moving average, in a training of a few numbers ---


class Walk(L.LightningModule):
    """Weights that a training moves in a way that depends on them and on the step, and no more.

    Two modules share one of them, as tied embeddings are. `seen` holds what evaluations saw.
    """

    def __init__(self, make_optimizer=None, start=0.0):
        super().__init__()
        self.one, self.two = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        self.alone = nn.Parameter(torch.zeros(3))
        self.two.weight = self.one.weight
        for weight in self.parameters():
            nn.init.constant_(weight, start)
        self.make_optimizer = make_optimizer or (lambda ws: torch.optim.SGD(ws, lr=1.0))
        self.seen = []

    def training_step(self, batch, batch_idx):
        """Every weight has the gradient 1."""
        return sum(weight.sum() for weight in self.parameters())

    def validation_step(self, batch, batch_idx):
        self.seen.append(self.alone.detach().clone())

    def test_step(self, batch, batch_idx):
        self.seen.append(self.alone.detach().clone())

    def configure_optimizers(self):
        return self.make_optimizer(self.parameters())


class Wander(Walk):
    """Steps that are noise, and a force towards 0: each differs from all the others."""

    def __init__(self):
        super().__init__(lambda ws: torch.optim.AdamW(ws, lr=0.1), start=1.0)

    def training_step(self, batch, batch_idx):
        noise = torch.Generator().manual_seed(self.trainer.global_step)
        return sum(
            (w * torch.randn(w.shape, generator=noise)).sum() + (w**2).sum()
            for w in self.parameters()
        )


class SaveEachStep(L.Callback):
    """As StopOnRequest does: at the end of a batch, whatever the other callbacks have yet to do."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            trainer.save_checkpoint(self.folder / f"step_{trainer.global_step}.ckpt")


def fit(module, folder, *callbacks, steps, resume=None, accumulate=1, precision="32-true"):
    """A training with a validation every 3 steps; leaves step_<number>.ckpt after each step."""
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        precision=precision,
        accumulate_grad_batches=accumulate,
        val_check_interval=3 * accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=[*callbacks, SaveEachStep(folder)],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = DataLoader(torch.zeros(100, 1))
    trainer.fit(module, batches, DataLoader(torch.zeros(1, 1)), ckpt_path=resume, weights_only=True)
    return trainer


def saved(folder, step):
    return torch.load(folder / f"step_{step}.ckpt", weights_only=True)


# The weights are -1, -2, -3 after three steps from 0, so that the average is, with
# decay 1/10, 2/11, 3/12: 0.9 * -1, then 2/11 * -0.9 + 9/11 * -2, then 0.25 * -1.8 + 0.75 * -3;
# with decay 0.1, 0.15, 0.15: 0.9 * -1, then 0.15 * -0.9 + 0.85 * -2, ...
@pytest.mark.parametrize(
    ("decay", "averages"),
    [(0.999, [-0.9, -1.8, -2.7]), (0.15, [-0.9, -1.835, -2.82525]), (0, [-1, -2, -3])],
)
def test_three_steps_are_what_they_are_by_hand(decay, averages, tmp_path):
    fit(Walk(), tmp_path, MovingAverage(decay), steps=3)
    for step, average in enumerate(averages, start=1):
        kept = saved(tmp_path, step)
        assert kept["state_dict"].keys() == kept[RAW].keys() == Walk().state_dict().keys()
        for name, weight in Walk().state_dict().items():
            torch.testing.assert_close(kept["state_dict"][name], torch.full_like(weight, average))
            torch.testing.assert_close(kept[RAW][name], torch.full_like(weight, -step))


def test_gradients_that_are_added_up_make_one_update(tmp_path):
    fit(Walk(), tmp_path, MovingAverage(0.999), steps=2, accumulate=3)
    kept = saved(tmp_path, 2)  # as in the first test
    torch.testing.assert_close(kept["state_dict"]["alone"], torch.full((3,), -1.8))
    assert kept["callbacks"]["MovingAverage"] == {"updates": 2}


def test_constant_weights_are_their_own_average(tmp_path):
    """To the bit, and not only nearly."""
    torch.manual_seed(0)
    module = Walk(lambda weights: torch.optim.SGD(weights, lr=0.0))
    nn.init.normal_(module.alone)
    before = module.alone.detach().clone()
    fit(module, tmp_path, MovingAverage(0.9), steps=20)
    assert torch.equal(saved(tmp_path, 20)["state_dict"]["alone"], before)


def test_the_average_of_bfloat16_moves_by_less_than_bfloat16_can(tmp_path):
    """Around 256, the numbers of bfloat16 are 2 apart; a share of 1 / 100 of a step is less."""
    folder = tmp_path / "first"
    slow = Walk(lambda weights: torch.optim.SGD(weights, lr=2.0), start=300.0)
    fit(slow, folder, MovingAverage(0.99), steps=80, precision="bf16-true")
    end, weights = 300 - 2 * 80, [300 - 2 * step for step in range(81)]
    average = 300.0
    for n, weight in enumerate(weights[1:]):
        decay = min(0.99, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * weight
    kept = saved(folder, 80)
    torch.testing.assert_close(kept["state_dict"]["alone"], torch.full((3,), average))
    assert torch.equal(kept[RAW]["alone"], torch.full((3,), end, dtype=torch.bfloat16))


class Look(L.Callback):
    """Remembers the weights at the end of each validation, as WriteSamples writes with them."""

    def __init__(self):
        self.seen = []

    def on_validation_end(self, trainer, pl_module):
        self.seen.append(pl_module.alone.detach().clone())


def test_validations_see_the_average_and_training_goes_on_from_the_weights(tmp_path):
    """And a checkpoint that is saved after a validation has both the right way round."""
    module, plain, averaged = Wander(), tmp_path / "plain", tmp_path / "averaged"
    before, after = Look(), Look()
    keep = ModelCheckpoint(averaged, "kept", save_top_k=1, every_n_epochs=1)
    fit(module, averaged, before, MovingAverage(0.8), after, keep, steps=9)
    fit(Wander(), plain, steps=9)
    for step in range(1, 10):
        own, other = saved(averaged, step), saved(plain, step)
        assert_same(own[RAW], other["state_dict"])
        assert_same(own["optimizer_states"], other["optimizer_states"])
        assert not torch.equal(own["state_dict"]["alone"], own[RAW]["alone"])
    for number, step in enumerate((3, 6, 9)):
        own = saved(averaged, step)
        assert torch.equal(module.seen[number], own["state_dict"]["alone"])
        assert torch.equal(before.seen[number], own["state_dict"]["alone"])
        assert torch.equal(after.seen[number], own[RAW]["alone"])
    kept = torch.load(averaged / "kept.ckpt", weights_only=True)
    for key in ("state_dict", RAW):
        assert_same(kept[key], saved(averaged, 9)[key])
    # What the fit leaves in the module is the average.
    assert_same(dict(module.state_dict()), dict(saved(averaged, 9)["state_dict"]))


class SaveInValidation(L.Callback):
    def on_validation_end(self, trainer, *args):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/validation.ckpt")


def test_a_checkpoint_saved_while_the_average_is_shown_has_the_weights_too(tmp_path):
    trainer = fit(Wander(), tmp_path, SaveInValidation(), MovingAverage(0.8), steps=3)
    trainer.save_checkpoint(tmp_path / "after_the_fit.ckpt")
    for name in ("validation", "after_the_fit"):
        kept = torch.load(tmp_path / f"{name}.ckpt", weights_only=True)
        for key in ("state_dict", RAW):
            assert_same(kept[key], saved(tmp_path, 3)[key])


def test_a_test_from_a_checkpoint_sees_its_average(tmp_path):
    """Both by the trainer that trained and by another."""
    module = Wander()
    trainers = [
        fit(module, tmp_path, MovingAverage(0.8), steps=6),
        L.Trainer(accelerator="cpu", logger=False, callbacks=[MovingAverage(0.8)]),
    ]
    for trainer in trainers:
        module.seen.clear()
        data = DataLoader(torch.zeros(1, 1))
        file = tmp_path / "step_4.ckpt"
        trainer.test(module, data, ckpt_path=file, weights_only=True, verbose=False)
        assert torch.equal(module.seen[0], saved(tmp_path, 4)["state_dict"]["alone"])


VARIANTS = {
    "plain": {},
    "bfloat16": {"precision": "bf16-true"},
    "accumulated": {"accumulate": 2},
}


@pytest.mark.parametrize("stop", [1, 3, 4, 8])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_resumed_anywhere_is_the_same_to_the_bit(stop, variant, tmp_path):
    """At a validation (step 3), and between two."""
    whole, parts, how = tmp_path / "whole", tmp_path / "parts", VARIANTS[variant]
    fit(Wander(), whole, MovingAverage(0.8), steps=9, **how)
    fit(Wander(), parts, MovingAverage(0.8), steps=stop, **how)
    file = parts / f"step_{stop}.ckpt"
    fit(Wander(), parts, MovingAverage(0.8), steps=9, resume=file, **how)
    for key in ("state_dict", RAW, "optimizer_states"):
        assert_same(saved(parts, 9)[key], saved(whole, 9)[key])
    assert saved(parts, 9)["callbacks"]["MovingAverage"] == {"updates": 9}


def test_a_second_training_begins_its_own_average(tmp_path):
    average = MovingAverage(0.999)
    fit(Walk(start=5.0), tmp_path, average, steps=5)
    fit(Walk(), tmp_path, average, steps=2)  # as in the first test
    torch.testing.assert_close(saved(tmp_path, 2)["state_dict"]["alone"], torch.full((3,), -1.8))


def test_a_training_that_had_no_average_can_be_given_one(tmp_path):
    fit(Walk(), tmp_path, steps=2)
    fit(Walk(), tmp_path, MovingAverage(0.9), steps=3, resume=tmp_path / "step_2.ckpt")
    kept = saved(tmp_path, 3)
    torch.testing.assert_close(kept["state_dict"]["alone"], torch.full((3,), 0.1 * -2 + 0.9 * -3))


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(ValueError, match=r"is not in \[0, 1\)"):
        MovingAverage(decay)


# --- the moving average, in a run of minitx ---

RANDOM = ["model.dropout=0.1", "optimizer.warmup_steps=4", "trainer.max_steps=12", "seed=3"]


class Interrupt(L.Callback):
    """Ctrl-C in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == self.step - 1:
            self.step = 0
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupt(monkeypatch):
    """Lets the next run be interrupted in the middle of a step: `interrupt(7)`."""
    make_trainer = minitx.training.train.make_trainer

    def interrupt(step):
        def make(*args, **settings):
            monkeypatch.undo()
            trainer = make_trainer(*args, **settings)
            trainer.callbacks.insert(0, Interrupt(step))
            return trainer

        monkeypatch.setattr(minitx.training.train, "make_trainer", make)

    return interrupt


@pytest.fixture
def tests_asked_for(monkeypatch):
    """The trainer, task and data of each test that a run makes, as (trainer, task, data)."""
    asked, test = [], L.Trainer.test

    def remember(trainer, task, data, **settings):
        asked.append((trainer, task, data))
        return test(trainer, task, data, **settings)

    monkeypatch.setattr(L.Trainer, "test", remember)
    return asked


def samples(folder):
    return (folder / "samples.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("stop", [5, 7])
def test_a_run_with_an_average_resumes_exactly(stop, train, interrupt, tmp_path):
    """Stopped at a validation (step 5), which is done first, and between two."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(f"run.dir={whole}", *RANDOM, "optimizer.ema=0.9")
    interrupt(stop)
    with pytest.raises(UserError, match=f"stopped at step {stop},"):
        train(f"run.dir={parts}", *RANDOM, "optimizer.ema=0.9")
    train(f"resume={parts}")
    assert rows(parts) == rows(whole)  # the validations and the test too
    assert files(parts) == files(whole)
    assert samples(parts) == samples(whole)
    for name in ("last", "best"):
        one, other = checkpoint(parts, name), checkpoint(whole, name)
        for key in ("state_dict", RAW, "optimizer_states", "global_step"):
            assert_same(one[key], other[key])


def test_a_run_opens_validates_and_tests_its_average(train, tests_asked_for, tmp_path):
    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    train(f"run.dir={plain}", *RANDOM, "optimizer.ema=null")
    run = train(f"run.dir={averaged}", *RANDOM, "optimizer.ema=0.9")
    assert_same(checkpoint(averaged, "last")[RAW], checkpoint(plain, "last")["state_dict"])
    best = checkpoint(averaged, "best")
    for model in (run.model, minitx.load(averaged).model, tests_asked_for[-1][1].model):
        for name, value in model.state_dict().items():
            assert torch.equal(value, best["state_dict"][f"model.{name}"])
    assert samples(averaged) != samples(plain)  # the average wrote them
    own, other = rows(averaged), rows(plain)
    assert own.keys() == other.keys()
    for step in own:
        for name in own[step]:
            same = own[step][name] == other[step][name]
            if not name.endswith("/accuracy"):  # a share of few tokens may be the same by chance
                assert same == name.startswith(("train/", "lr", "grad_norm", "tokens_seen")), (
                    step,
                    name,
                )


# --- the average of checkpoints ---


@pytest.fixture(scope="module")
def two_steps(train, tmp_path_factory):
    """Checkpoints of a run at steps 5 and 10, their files."""
    folder = tmp_path_factory.mktemp("two_steps")
    train(f"run.dir={folder / 'run'}", "trainer.max_steps=5")
    earlier = (folder / "run" / "checkpoints" / "last.ckpt").rename(folder / "5.ckpt")
    (folder / "run" / "checkpoints" / "last.ckpt").write_bytes(earlier.read_bytes())
    train(f"resume={folder / 'run'}", "trainer.max_steps=10")
    return earlier, folder / "run" / "checkpoints" / "last.ckpt"


def read(file):
    return torch.load(file, weights_only=True)


def test_the_average_of_one_checkpoint_is_itself(two_steps, tmp_path):
    average_checkpoints([two_steps[1]], tmp_path / "average.ckpt")
    assert_same(read(tmp_path / "average.ckpt")["state_dict"], read(two_steps[1])["state_dict"])


@pytest.mark.parametrize("order", [1, -1])
def test_the_average_of_two_is_their_mean_and_else_the_newer(order, two_steps, tmp_path):
    average_checkpoints(two_steps[::order], tmp_path / "average.ckpt")
    average, (old, new) = read(tmp_path / "average.ckpt"), map(read, two_steps)
    for name, value in average["state_dict"].items():
        mean = (old["state_dict"][name].double() + new["state_dict"][name].double()) / 2
        assert torch.equal(value, mean.to(value.dtype)), name
        assert not torch.equal(value, new["state_dict"][name]), name
    assert average["global_step"] == 10
    assert_same(average["hyper_parameters"], new["hyper_parameters"])
    # The optimizer's state is most of a checkpoint, and of no use here.
    assert (tmp_path / "average.ckpt").stat().st_size < two_steps[1].stat().st_size / 2
    assert {path.name for path in tmp_path.iterdir()} == {"average.ckpt"}


def test_the_average_opens_and_is_tested_like_any_checkpoint(
    train, two_steps, tests_asked_for, tmp_path
):
    file = tmp_path / "average.ckpt"
    average_checkpoints(two_steps, file)
    weights = read(file)["state_dict"]
    run = minitx.load(file)
    train(f"run.dir={tmp_path / 'run'}", "trainer.max_steps=1")
    trainer, task, data = tests_asked_for[0]
    trainer.test(task, data, ckpt_path=file, weights_only=True, verbose=False)
    assert (run.step, run.path) == (10, file)
    for model in (run.model, task.model):
        assert {f"model.{name}" for name in model.state_dict()} == weights.keys()
        for name, value in model.state_dict().items():
            assert torch.equal(value, weights[f"model.{name}"]), name


FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def make_file(folder, step, weights, **more):
    """A checkpoint with nothing in it but weights, and what else is said."""
    about = {"config": {}, "tokenizer": "", "data_fingerprint": ""}
    kept = {"state_dict": weights, "hyper_parameters": about, "global_step": step}
    file = folder / f"{step}.ckpt"
    torch.save(kept | more, file)
    return file


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from([*FLOATS, torch.int64, torch.bool]), min_size=1, max_size=4),
    steps=st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True),
)
def test_the_average_is_the_mean_in_every_number_format(seed, kinds, steps, tmp_path_factory):
    """Against exact fractions; what has no mean is the newest's."""
    folder, draw = tmp_path_factory.mktemp("kinds"), torch.Generator().manual_seed(seed)
    weights = {
        step: {
            str(i): (8 * torch.randn(3, i, generator=draw)).to(kind) for i, kind in enumerate(kinds)
        }
        for step in steps
    }
    average_checkpoints([make_file(folder, s, weights[s]) for s in steps], folder / "average")
    average = read(folder / "average")["state_dict"]
    assert list(average) == list(weights[steps[0]])
    for i, kind in enumerate(kinds):
        found, name = average[str(i)], str(i)
        if kind not in FLOATS:
            assert_same(found, weights[max(steps)][name])
            continue
        values = zip(*(weights[step][name].flatten().tolist() for step in steps), strict=True)
        means = [float(sum(map(Fraction, of_one)) / len(steps)) for of_one in values]
        wanted = torch.tensor(means, dtype=torch.float64).view(3, i)
        # Half of the last digit, and what is lost below the smallest numbers or by cancelling.
        near = {"rtol": torch.finfo(kind).eps / 2, "atol": 1e-7 if kind is FLOATS[0] else 1e-13}
        assert found.dtype == kind
        torch.testing.assert_close(found.double(), wanted, **near)


def test_one_tensor_with_two_names_stays_one(tmp_path):
    found = []
    for step in (1, 3):
        tensor = torch.full((5,), float(step))
        found.append(make_file(tmp_path, step, {"a": tensor, "b": tensor}))
    average_checkpoints(found, tmp_path / "average")
    average = read(tmp_path / "average")["state_dict"]
    assert torch.equal(average["a"], torch.full((5,), 2.0))
    assert average["a"].data_ptr() == average["b"].data_ptr()


def test_what_only_a_resumed_training_needs_is_left_out(tmp_path):
    weights = {"a": torch.zeros(2)}
    state = ("optimizer_states", "lr_schedulers", "callbacks", RAW)
    more = {"epoch": 3, "loops": {}, **dict.fromkeys(state, weights)}
    average_checkpoints([make_file(tmp_path, 7, weights, **more)], tmp_path / "average")
    kept = {"state_dict", "hyper_parameters", "global_step", "epoch", "loops"}
    assert read(tmp_path / "average").keys() == kept


def test_no_checkpoint_is_no_average(tmp_path):
    with pytest.raises(UserError, match="nothing to average"):
        average_checkpoints([], tmp_path / "average")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"a": (2,)}, "it has no b"),
        ({"a": (2,), "b": (3,), "c": (1,)}, "it also has c"),
        ({"a": (2,), "b": (1, 3)}, "b is (1, 3), not (3,)"),
        ({"a": (4,), "b": (5,)}, "a is (4,), not (2,)"),
    ],
)
def test_other_models_are_named_with_their_first_difference(other, says, tmp_path):
    shapes = [{"a": (2,), "b": (3,)}, {"a": (2,), "b": (3,)}, other]
    models = [{name: torch.zeros(shape) for name, shape in model.items()} for model in shapes]
    found = [make_file(tmp_path, step, model) for step, model in enumerate(models)]
    with pytest.raises(UserError) as caught:
        average_checkpoints(found, tmp_path / "average")
    assert str(caught.value) == f"{found[2]} is not of the same model as {found[0]}: {says}"
    assert not (tmp_path / "average").exists()


@pytest.mark.parametrize("where", ["nowhere/average", "0.ckpt/average", "."])
def test_a_place_that_cannot_be_written_is_named(where, tmp_path):
    file = make_file(tmp_path, 0, {"a": torch.zeros(2)})
    with pytest.raises(UserError, match=r"cannot be written: \w+") as caught:
        average_checkpoints([file], tmp_path / where)
    assert str(tmp_path / where) in str(caught.value)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    file = make_file(tmp_path, 0, {"a": torch.zeros(2)})
    target = tmp_path / "average"
    target.write_bytes(b"of before")
    save = torch.save

    def half(value, place):
        save(value, place)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        average_checkpoints([file], target)
    assert target.read_bytes() == b"of before"
    assert {path.name for path in tmp_path.iterdir()} == {"0.ckpt", "average"}
    monkeypatch.setattr(torch, "save", save)
    average_checkpoints([file], target)
    assert read(target)["global_step"] == 0
