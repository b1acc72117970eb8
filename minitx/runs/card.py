"""The card of a trained model: what it is, how good it is, and how to use it."""

from collections.abc import Mapping
from typing import Any

from minitx.config.schema import Config


def model_card(config: Config, summary: dict[str, Any]) -> str:
    """Return the card of the model in the file model.ckpt, as Markdown.

    `summary` holds the values of the run's summary.json; a value that is missing is left out.
    """
    model, task = config.model, config.task
    return f"""# {model.name} on {task.name}

Trained by minitx. The file holds the weights, the config and the tokenizer, and nothing in it
is executed.

{facts_table(config, summary)}
## Scores

{scores_table(summary)}
## Use

```python
import minitx

run = minitx.load("model.ckpt")
run.{task.objective.command}(...)
```
"""


def facts_table(config: Config, summary: dict[str, Any]) -> str:
    """Return what the model is and how it was trained, as a table."""
    task, model = config.task, config.model
    return _table(
        ("", "value"),
        {
            "task": f"{task.name} ({task.objective})",
            "layers, width": f"{model.layers}, {model.dim}",
            "longest input": f"{model.context:,} tokens",
            "parameters": _number(summary.get("parameters")),
            "parameters without embeddings": _number(summary.get("parameters_non_embedding")),
            "steps": _number(summary.get("steps")),
            "tokens seen": _number(summary.get("tokens_seen")),
            "training time": _number(summary.get("train_seconds"), " s"),
            "peak memory": _number(summary.get("peak_memory_mb"), " MB"),
            "seed": str(config.seed),
            "corpus": summary.get("data_fingerprint"),
            "code": summary.get("git_commit"),
            "versions": ", ".join(" ".join(each) for each in summary.get("versions", {}).items()),
        },
    )


def scores_table(summary: dict[str, Any]) -> str:
    """Return the metrics of summary.json as a table, with a sentence that says what they are."""
    metrics = sorted(summary.get("metrics", {}).items())
    table = _table(("metric", "value"), {name: f"{value:.4f}" for name, value in metrics})
    return f"Measured on whole splits. Losses are in nats per token.\n\n{table}"


def _number(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{value:,.0f}{unit}"


def _table(columns: tuple[str, str], rows: Mapping[str, str | None]) -> str:
    cells = [f"| {key} | {text} |\n" for key, text in rows.items() if text]
    return "".join([f"| {columns[0]} | {columns[1]} |\n", "| --- | --- |\n", *cells])
