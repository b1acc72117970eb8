"""The models of a study in words, from the settings of their runs."""

from typing import Any

from minitx.drawing.formatting import count, listed, number, percent
from minitx.study.results.results import Results

MIXERS = {"attention": "attention", "lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
POSITIONS = {"none": "no positions", "alibi": "ALiBi", "learned": "learned positions"}


def describe_models(results: Results) -> dict[str, str]:
    """Return each arm's model in words: "Transformer, 4 layers of width 128, 4 heads".

    What the study varies is left out. Arms whose settings are unknown have no words.
    """
    varied = {*results.axes, *results.study.sweep}
    if len(results.axes) and results.study.match:
        varied.add("model.dim")  # the width that gives every model its size differs over the grid
    return {
        arm: _model({key: value for key, value in found.items() if key not in varied})
        for arm, found in results.settings.items()
    }


def describe_training(results: Results) -> dict[str, str]:
    """Return how each arm was trained, in words. Arms that were trained alike share an entry."""
    varied = {*results.axes, *results.study.sweep}
    alike: dict[str, list[str]] = {}
    for arm, found in results.settings.items():
        words = _training({key: value for key, value in found.items() if key not in varied})
        alike.setdefault(words, []).append(arm)
    return {
        f"training of {listed(arms)}" if len(alike) > 1 else "training": words
        for words, arms in alike.items()
    }


def _model(found: dict[str, Any]) -> str:
    recurrent = "model.cell" in found
    mixers = found.get("model.mixer", "attention")
    mixers = [mixers] if isinstance(mixers, str) else list(mixers)
    if recurrent:
        kind = MIXERS.get(found["model.cell"], found["model.cell"])
    elif set(mixers) == {"attention"}:
        kind = "Transformer"
    else:
        kind = f"Transformer with {listed([MIXERS.get(each, each) for each in mixers])}"
        kind += " in place of attention" if "attention" not in mixers else " in turn"
    parts = [kind, _shape(found)]
    if "model.heads" in found and "attention" in mixers and not recurrent:
        parts.append(count(found["model.heads"], "head"))
    if "model.position" in found and "attention" in mixers:
        position = found["model.position"]
        parts.append(POSITIONS.get(position, f"{position} positions"))
    if recurrent and found.get("model.attention", "none") != "none":
        parts.append(f"{found['model.attention']} attention to the source")
    if found.get("model.residual") is False:
        parts.append("no residual connections")
    if found.get("model.feedforward") is False:
        parts.append("no feed-forward")
    if found.get("model.dropout"):
        parts.append(f"dropout {percent(found['model.dropout'])}")
    return ", ".join(filter(None, parts))


def _shape(found: dict[str, Any]) -> str:
    """Return "4 layers of width 128", or the part of it that the study does not vary."""
    layers, width = found.get("model.layers"), found.get("model.dim")
    parts = [count(layers, "layer")] if layers else []
    return " of ".join([*parts, f"width {width:,}"] if width else parts)


def _training(found: dict[str, Any]) -> str:
    """Return "Muon, 32 sequences of 64 tokens per step, at most 3,000 steps, constant schedule"."""
    optimizer = found.get("optimizer.name", "")
    rates = ["muon_lr", "lr"] if optimizer == "muon" else ["lr"]
    known = [found[f"optimizer.{name}"] for name in rates if f"optimizer.{name}" in found]
    parts = [{"adamw": "AdamW", "muon": "Muon"}.get(optimizer, optimizer)]
    if len(known) == len(rates):
        rest = [f"{number(rate)} for all other weights" for rate in known[1:]]
        parts.append(f"learning rate {listed([number(known[0]), *rest])}")
    if found.get("data.batch_size"):
        of = f" of {found['model.context']:,} tokens" if "model.context" in found else ""
        parts.append(f"{count(found['data.batch_size'], 'sequence')}{of} per step")
    forms = {
        "data.batch_tokens": "{:,} tokens per step",
        "trainer.max_steps": "at most {:,} steps",
        "trainer.max_minutes": "at most {:g} minutes",
        "optimizer.schedule": "{} schedule",
        "optimizer.ema": "weights averaged with decay {}",
        "task.label_smoothing": "label smoothing {:g}",
    }
    parts += [form.format(found[key]) for key, form in forms.items() if found.get(key)]
    return ", ".join(filter(None, parts))
