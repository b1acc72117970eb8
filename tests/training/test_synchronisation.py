"""Test that a training step never waits for its device."""

import lightning as L
import pytest
import torch
from example_corpora import SMALL, labelled_texts, number_pairs, write_jsonl, write_tsv
from tiny_runs import TINY, compose

from minitx.objectives.optim import clip_gradients
from minitx.tasks.open import open_task
from minitx.training.callbacks import Clock
from minitx.training.train import make_trainer

OBJECTIVES = {
    "language modelling": [],
    "recall": ["task=recall", "task.pairs=4", "data.tokenizer=word"],
    "sequence to sequence": ["task=pairs", *SMALL, "data.batch_tokens=300"],
    "classification": ["task=labels", *SMALL, "data.batch_tokens=300"],
}
MODELS = {
    "transformer": [],
    "lstm": ["model=lstm"],
    "gru in place of attention": ["model.mixer=gru", "model.position=learned"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory, text_file):
    """The file that each objective learns from, if it has one."""
    folder = tmp_path_factory.mktemp("files")
    return {
        "language modelling": text_file,
        "sequence to sequence": write_tsv(folder / "numbers.tsv", number_pairs(300)),
        "classification": write_jsonl(folder / "texts.jsonl", labelled_texts(300)),
    }


@pytest.fixture(params=[(o, m) for o in OBJECTIVES for m in MODELS], ids=", ".join)
def words(request, files):
    """The command line of a tiny run of each objective with each kind of model."""
    objective, model = request.param
    path = [f"data.path={files[objective]}"] if objective in files else []
    return [*TINY, *OBJECTIVES[objective], *path, *MODELS[model], "logger=none"]


def test_a_step_reads_nothing_from_its_device(words):
    """On torch's meta device, which has no numbers to tell: an answer would be an error."""
    config = compose(*words)
    task = open_task(config)
    meta = torch.device("meta")
    objective = task.objective(task.vocabulary.build(config.model).to(meta), lambda: 0.0)
    objective.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    batch = task.data().training_batches(0, 1)[0]
    loss = objective.loss(objective.transfer_batch_to_device(batch, meta, 0))
    loss.backward()
    norm = clip_gradients(objective.model.parameters(), config.optimizer.clip_norm)
    assert loss.device == norm.device == meta
    with pytest.raises(RuntimeError):
        loss.item()


class NoWaiting(L.Callback):
    """Has torch raise an error where the host waits for the GPU within a step, but for the first.

    The first one sets up what lasts: the optimizer's state, cuDNN's and cuBLAS's workspaces.
    """

    def __init__(self):
        self.steps = 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx:
            self.steps += 1
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_step_on_a_gpu_does_not_wait_for_it(words, optimizer, tmp_path):
    """Through Lightning: batch, loss, backward pass, clipping, optimizer and schedule."""
    rarely = "trainer.log_every=100"  # a row of metrics is read back from the device
    limits = ("trainer=gpu", "trainer.max_steps=4", "optimizer.ema=0.9", rarely)
    config = compose(*words, *limits, f"optimizer={optimizer}")
    task = open_task(config)
    model = task.vocabulary.build(config.model)
    watch = NoWaiting()
    trainer = make_trainer(config, tmp_path, Clock(None), [watch])
    trainer.limit_val_batches = 0
    try:
        trainer.fit(task.objective(model, lambda: 0.0), task.data())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert watch.steps == 3
