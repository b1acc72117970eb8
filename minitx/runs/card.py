"""The card of a trained model: what it is, how good it is, and how to use it."""

from typing import Any

from minitx.config.schema import Config


def model_card(config: Config, summary: dict[str, Any], file: str = "model.ckpt") -> str:
    """Return the card of the model in a checkpoint `file` as Markdown.

    `summary` holds the values of the run's summary.json; a value that is missing is left out.
    """
    task, model = config.task, config.model
    facts: dict[str, str | None] = {
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
    }
    scores: dict[str, str | None] = {
        name: f"{value:.4f}" for name, value in sorted(summary.get("metrics", {}).items())
    }
    return "\n".join(
        [
            f"# {model.name} on {task.name}",
            "",
            "Trained by minitx. The file holds the weights, the config and the tokenizer, and "
            "nothing in it is executed.",
            "",
            *_table("", "value", facts),
            "## Scores",
            "",
            "Measured on whole splits. Losses are in nats per token.",
            "",
            *_table("metric", "value", scores),
            "## Use",
            "",
            "```python",
            "import minitx",
            "",
            f'run = minitx.load("{file}")',
            f"run.{task.objective.command}(...)",
            "```",
            "",
        ]
    )


def _number(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{value:,.0f}{unit}"


def _table(name: str, value: str, rows: dict[str, str | None]) -> list[str]:
    cells = [f"| {key} | {text} |" for key, text in rows.items() if text]
    return [f"| {name} | {value} |", "| --- | --- |", *cells, ""]
