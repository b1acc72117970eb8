"""Compare the importance of heads with models whose heads are removed by hand."""

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from example_corpora import SMALL, labelled_texts, number_pairs, write_jsonl, write_tsv

import minitx
from minitx.data import module
from minitx.errors import UserError
from minitx.inspection.capture import find_attention
from minitx.inspection.findings import head_costs
from minitx.inspection.importance import Importance, head_importance
from minitx.objectives.language_modeling import LanguageModeling
from minitx.tasks.open import open_task

FEW = ["trainer.max_steps=4", "trainer.val_every=4", "model.heads=2"]
EXAMPLES = [*SMALL, "data.batch_tokens=300", "model.dim=16"]
FILES = {"head_importance.png", "head_importance.json"}


@pytest.fixture(scope="module")
def folder(train, tmp_path_factory):
    """The folder of a run of a kind; each kind is trained once."""
    place, known = tmp_path_factory.mktemp("runs"), set()
    pairs = write_tsv(place / "numbers.tsv", number_pairs(200))
    labels = write_jsonl(place / "texts.jsonl", labelled_texts(200))
    kinds = {
        "text": ["model.layers=2", *FEW, "optimizer.lr=0.03", "optimizer.muon_lr=0.1"],
        "pairs": ["task=pairs", f"data.path={pairs}", *EXAMPLES, *FEW],
        "labels": ["task=labels", f"data.path={labels}", *EXAMPLES, *FEW],
        "lstm": ["model=lstm", *FEW[:2]],
    }

    def folder(kind):
        if kind not in known:
            train(*kinds[kind], f"run.dir={place / kind}")
            known.add(kind)
        return place / kind

    return folder


def without_values(model, heads):
    """A copy of the model in which the value projections of some (name, head) are zero."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for name, head in heads:
            attention = find_attention(changed)[name]
            rows = slice(head * attention.head_dim, (head + 1) * attention.head_dim)
            attention.value.weight[rows] = 0
            if attention.value.bias is not None:
                attention.value.bias[rows] = 0
    return changed


def opened(place):
    run = minitx.load(place)
    return run, open_task(run.config)


@pytest.mark.parametrize(
    ("kind", "metric"), [("text", "loss"), ("labels", "loss"), ("labels", "accuracy")]
)
def test_a_head_is_off_where_its_values_are_zero(kind, metric, folder):
    run, task = opened(folder(kind))

    def by_hand(heads):
        changed = without_values(run.model, heads)
        return task.evaluate(changed, "val", run.config.decoding).metrics[metric]

    heads = [(name, head) for name in find_attention(run.model) for head in (0, 1)]
    found = head_importance(task, run.model, "val", metric, len(heads), None)
    assert list(found.without) == heads
    for head, value in found.without.items():
        assert value == pytest.approx(by_hand([head]), rel=1e-6)
    assert found.pruned == pytest.approx(
        [by_hand(found.order[:k]) for k in range(1, len(heads) + 1)], rel=1e-6
    )
    if metric == "loss":
        values = [found.whole, *found.without.values(), found.pruned[-1]]
        assert min(abs(a - b) for a in values for b in values if a is not b) > 1e-5


@pytest.mark.parametrize("kind", ["text", "pairs", "labels"])
def test_the_whole_is_what_validation_measured(kind, folder):
    run, task = opened(folder(kind))
    metrics = json.loads((folder(kind) / "summary.json").read_text(encoding="utf-8"))["metrics"]
    for metric in ("loss", "accuracy"):
        found = head_importance(task, run.model, "val", metric, 0, None)
        assert found.whole == pytest.approx(metrics[f"val/{metric}"], abs=1e-5)
        assert found.pruned == []


def test_the_first_batches_may_be_enough(folder, monkeypatch):
    monkeypatch.setattr(module, "EVALUATION_TOKENS", 32)  # two windows of 16
    run, task = opened(folder("text"))
    found = head_importance(task, run.model, "val", "loss", 0, 1)
    ids = torch.as_tensor(task.store.split("val")[:33].astype("int64"))
    with torch.no_grad():
        logits, _ = run.model(ids[:32].view(2, 16))
    expected = float(F.cross_entropy(logits.flatten(0, 1), ids[1:]))
    assert found.whole == pytest.approx(expected, rel=1e-5)


A, B, C = ("encoder", 0), ("encoder", 1), ("decoder", 0)


def test_a_loss_is_worse_where_it_is_larger():
    found = Importance("loss", 2.0, {A: 3.0, B: 1.9, C: 2.01}, [1.9, 2.019, 2.021])
    assert [found.cost(value) for value in (3.0, 1.9)] == pytest.approx([0.5, -0.05])
    assert found.order == [B, C, A]
    assert found.dispensable == 2  # the third costs more than 1%


def test_an_accuracy_is_worse_where_it_is_smaller():
    found = Importance("accuracy", 0.5, {A: 0.4, B: 0.6, C: 0.5}, [0.6, 0.496, 0.494])
    assert [found.cost(value) for value in (0.4, 0.6)] == pytest.approx([0.2, -0.2])
    assert found.order == [B, C, A]
    assert found.dispensable == 2


def test_all_heads_may_be_dispensable_or_none():
    assert Importance("loss", 2.0, {A: 2.0, B: 2.0}, [2.0, 2.0]).dispensable == 2
    # The first one that costs too much ends it, though one more would make up for it.
    assert Importance("loss", 2.0, {A: 2.1, B: 2.2}, [2.1, 2.0]).dispensable == 0
    assert Importance("loss", 2.0, {A: 2.1}, []).dispensable == 0


def test_the_script_writes_a_picture_and_the_numbers(script, folder):
    place = folder("text")
    before = {path.name for path in place.iterdir()}
    answer = script("head_importance", f"run={place}", "prune=3")
    assert answer.status == 0, answer.err
    assert {path.name for path in place.iterdir()} - before == FILES
    assert (place / "head_importance.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    found = json.loads((place / "head_importance.json").read_text(encoding="utf-8"))
    run, task = opened(place)
    expected = head_importance(task, run.model, "val", "loss", 3, None)
    assert (found["metric"], found["split"], found["batches"]) == ("loss", "val", None)
    assert found["with_all_heads"] == pytest.approx(expected.whole)
    assert found["without_the_least_important"] == pytest.approx(expected.pruned)
    heads = [(each["attention"], each["head"]) for each in found["without"]]
    assert heads == expected.order
    assert [each["loss"] for each in found["without"]] == sorted(expected.without.values())
    costs = head_costs(run)  # as the page of attention maps reads them
    assert (costs.metric, costs.split) == ("loss", "val")
    assert costs.without == pytest.approx(
        {head: expected.cost(value) for head, value in expected.without.items()}
    )
    rows = [line.split("│") for line in answer.out.splitlines() if " decoder." in line]
    assert [(row[1].strip(), int(row[2])) for row in rows] == expected.order
    assert [row[5].strip() for row in rows] == [*(f"{v:.4f}" for v in expected.pruned), ""]
    for name in FILES:
        assert f"  {place / name}\n" in answer.out


REFUSED = {  # the kind of run, the words, what is said
    "no run": (None, [], ["run="]),
    "more heads than there are": ("text", ["prune=5"], ["prune=5", "4 heads"]),
    "no attention": ("lstm", [], ["lstm", "no attention"]),
    "corpus gone": ("text", ["data.path=gone.txt"], ["gone.txt", "No such file"]),
    "no batches": ("text", ["batches=0"], ["batches=0", "at least 1"]),
    "unknown metric": ("text", ["metric=los"], ["did you mean loss?"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured(case, script, folder):
    kind, words, parts = REFUSED[case]
    places = [] if kind is None else [folder(kind)]
    before = [set(place.iterdir()) for place in places]
    answer = script("head_importance", *(f"run={place}" for place in places), *words)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.count("\n") == 1, answer.err
    assert all(part in answer.err for part in parts), answer.err
    assert [set(place.iterdir()) for place in places] == before


def test_no_fraction_is_taken_of_zero(folder, monkeypatch):
    run, task = opened(folder("text"))
    monkeypatch.setattr(LanguageModeling, "scores", lambda self: {"accuracy": 0.0})
    with pytest.raises(UserError, match=r"accuracy on val is 0 with all heads"):
        head_importance(task, run.model, "val", "accuracy", 0, None)
