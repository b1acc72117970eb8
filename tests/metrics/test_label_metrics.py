"""Test accuracy, macro F1 and confusion in training and evaluation against a hand calculation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchmetrics.functional.classification import multiclass_f1_score

from minitx.config.schema import OptimizerConfig
from minitx.data.batching.batches import LabelBatch
from minitx.metrics.scores import accuracy, confusion, macro_f1
from minitx.metrics.token_metrics import label_metrics
from minitx.objectives.classification import Classification

LABELS = 5
few_examples = settings(deadline=None, max_examples=30)

# (predicted, true) of each example. Few kinds, so that classes often are missing.
cases = st.lists(
    st.tuples(st.integers(0, LABELS - 1), st.integers(0, LABELS - 1)), min_size=1, max_size=12
)


def by_hand(pairs):
    """Accuracy, macro F1 and confusion by their definitions, in plain Python."""
    table = [[0] * LABELS for _ in range(LABELS)]
    for predicted, true in pairs:
        table[true][predicted] += 1
    scores = []
    for label in range(LABELS):
        found = table[label][label]
        predicted = sum(table[true][label] for true in range(LABELS))
        occurred = sum(table[label])
        if predicted or occurred:
            precision = found / predicted if predicted else 0.0
            recall = found / occurred if occurred else 0.0
            both = precision + recall
            scores.append(2 * precision * recall / both if both else 0.0)
    right = sum(predicted == true for predicted, true in pairs)
    return right / len(pairs), sum(scores) / len(scores), table


def columns(pairs):
    predicted, true = np.array(pairs, np.int64).T
    return predicted, true


@few_examples
@given(cases, st.data())
def test_what_training_logs_is_the_definition_however_a_split_is_cut(pairs, data):
    metrics = label_metrics(LABELS)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(pairs)))))
    for start, stop in zip([0, *cuts], [*cuts, len(pairs)], strict=True):
        if start < stop:
            predicted, true = map(torch.from_numpy, columns(pairs[start:stop]))
            metrics.update(predicted, true)
    found = metrics.compute()
    right, f1, table = by_hand(pairs)
    assert float(found["accuracy"]) == pytest.approx(right)
    assert float(found["macro_f1"]) == pytest.approx(f1, abs=1e-6)
    assert found["confusion"].tolist() == table
    assert found["confusion"].dtype == torch.int64


@settings(deadline=None, max_examples=10)
@given(cases)
def test_what_evaluation_reports_is_the_definition(pairs):
    predicted, true = columns(pairs)
    right, f1, table = by_hand(pairs)
    assert accuracy(predicted, true).value == pytest.approx(right)
    assert macro_f1(predicted, true, LABELS).value == pytest.approx(f1)
    assert confusion(predicted, true, LABELS).tolist() == table
    assert confusion(predicted, true, LABELS).dtype == np.int64


def test_figures_by_hand():
    """Of five classes, 3 and 4 are neither there nor predicted."""
    true = np.array([0, 0, 0, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1])
    # 0: 2 found of 3, 2 of 2 right, F1 = 4/5. 1: 1 of 1, 1 of 3 right, F1 = 2/4. 2: none.
    assert accuracy(predicted, true).value == pytest.approx(3 / 5)
    assert macro_f1(predicted, true, LABELS).value == pytest.approx((4 / 5 + 2 / 4 + 0) / 3)
    assert confusion(predicted, true, 3).tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 0]]


@settings(deadline=None, max_examples=10)
@given(cases)
def test_a_class_without_examples_changes_nothing(pairs):
    predicted, true = columns(pairs)
    more, fewer = (macro_f1(predicted, true, labels) for labels in (LABELS + 3, LABELS))
    # The order of a sum depends on how many terms it has, of which each is at most one.
    rounding = (LABELS + 3) * np.finfo(float).eps
    for name in ("value", "low", "high"):
        assert getattr(more, name) == pytest.approx(getattr(fewer, name), abs=rounding, nan_ok=True)
    theirs = multiclass_f1_score(
        torch.from_numpy(predicted), torch.from_numpy(true), LABELS + 3, average="macro"
    )
    assert more.value == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("score", [accuracy, lambda p, t: macro_f1(p, t, LABELS)])
def test_intervals_are_those_of_a_bootstrap(score):
    """A mean over 400 examples: the normal approximation, for accuracy; both around the figure."""
    generator = np.random.default_rng(1)
    true = generator.integers(LABELS, size=400)
    predicted = np.where(generator.random(400) < 0.7, true, generator.integers(LABELS, size=400))
    found = score(predicted, true)
    assert found.low < found.value < found.high
    share = (predicted == true).mean()
    width = 2 * 1.96 * (share * (1 - share) / 400) ** 0.5
    assert found.high - found.low == pytest.approx(width, rel=0.2)


def test_all_right_has_no_interval_to_speak_of():
    labels = np.arange(20) % LABELS
    for found in (accuracy(labels, labels), macro_f1(labels, labels, LABELS)):
        assert (found.value, found.low, found.high) == (1, 1, 1)


class Lookup(nn.Module):
    """A classifier whose logits are a table's row of the first token."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, tokens, padding):
        return self.table[tokens[:, 0]]


def objective(model):
    arguments = [model, OptimizerConfig(), 1, lambda: 0.0, {}]
    return Classification(*arguments, labels=LABELS, label_smoothing=0.1)


def batches(sizes):
    generator = torch.Generator().manual_seed(0)
    for size in sizes:
        tokens = torch.randint(7, (size, 1), generator=generator)
        labels = torch.randint(LABELS, (size,), generator=generator)
        yield LabelBatch(tokens, torch.ones_like(tokens, dtype=torch.bool), labels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_splits_loss_is_the_mean_over_its_examples(dtype):
    """Not over its batches; without smoothing; exact in whatever format the model is."""
    table = 2 * torch.randn(7, LABELS, generator=torch.Generator().manual_seed(1))
    learner = objective(Lookup(table)).to(dtype)
    table = table.to(dtype).double()
    nats = right = count = 0
    for batch in batches([1, 50, 3] * 40):
        learner.score(batch)
        log_probs = table[batch.tokens[:, 0]].log_softmax(dim=-1)
        nats -= float(log_probs.gather(1, batch.labels[:, None]).sum())
        right += int((log_probs.argmax(dim=-1) == batch.labels).sum())
        count += len(batch.labels)
    found = learner.scores()
    assert set(found) == {"loss", "accuracy", "macro_f1"}
    assert found["loss"] == pytest.approx(nats / count, rel=1e-5)
    assert found["accuracy"] == pytest.approx(right / count)
    assert int(learner.confusion.sum()) == count


def test_the_next_split_starts_from_zero():
    learner = objective(Lookup(torch.eye(7, LABELS)))
    first, second = batches([9, 4])
    learner.score(first)
    learner.scores()
    learner.score(second)
    alone = objective(Lookup(torch.eye(7, LABELS)))
    alone.score(second)
    assert learner.scores() == alone.scores()
    assert torch.equal(learner.confusion, alone.confusion)
    assert int(alone.confusion.sum()) == 4
