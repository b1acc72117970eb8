"""The model card of an export, README.md, from the template web/card.md."""

import json
import re
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, StrictUndefined

from minitx.config.compose import to_plain
from minitx.config.schema import Config
from minitx.config.tasks import LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE
from minitx.drawing.formatting import is_number, number
from minitx.drawing.html import source
from minitx.errors import UserError
from minitx.interop.counterparts import Counterpart
from minitx.models.language_model import count_parameters
from minitx.runs.paths import SUMMARY, read_summary
from minitx.runs.run import StoredRun


def model_card(run: StoredRun, counterpart: Counterpart | None) -> str:
    """Return the card as Markdown.

    The metrics and the training are those of summary.json. A run that is a single checkpoint has
    none: the card then leaves them out.
    """
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(source("minitx.interop", "card.md"))
    total, non_embedding = count_parameters(run.model)
    remedy = "delete it, and the card does without it"
    summary = read_summary(run.folder, remedy)
    if summary and not _is_of_a_run(summary):
        raise UserError(f"{run.folder / SUMMARY} is not one that minitx wrote: {remedy}")
    elsewhere = not run.step  # minitx.from_transformers
    return template.render(
        run=run,
        config=run.config,
        task=run.config.task,
        counterpart=counterpart,
        version=version("minitx"),
        parameters=total,
        non_embedding=non_embedding,
        summary=summary,
        settings=_settings(run.config, elsewhere),
        elsewhere=elsewhere,
        is_language_model=run.config.task.objective == LANGUAGE_MODELING,
        is_pair=run.config.task.objective == SEQUENCE_TO_SEQUENCE,
        number=number,
    )


def _is_of_a_run(summary: dict[str, Any]) -> bool:
    """Return whether summary.json has the figures of the card, under names that are no markup."""
    figures = [summary.get(name) for name in ("steps", "tokens_seen", "train_seconds")]
    metrics = summary.get("metrics")
    return (
        all(map(is_number, figures))
        and isinstance(metrics, dict)
        and all(map(is_number, metrics.values()))
        and all(re.fullmatch(r"[\w/@. -]+", name) for name in metrics)
    )


def _settings(config: Config, elsewhere: bool) -> dict[str, Any]:
    """Return the settings that say how the model was trained, without any path.

    Of a model that was trained elsewhere, they are those of the architecture.
    """
    plain = to_plain(config)
    shown = {f"model.{name}": value for name, value in plain["model"].items()}
    if not elsewhere:
        shown |= {f"optimizer.{name}": value for name, value in plain["optimizer"].items()}
        for name in ("batch_size", "batch_tokens", "tokenizer", "vocab_size", "train_fraction"):
            shown[f"data.{name}"] = plain["data"][name]
        shown["seed"] = config.seed
    return {name: json.dumps(value) for name, value in shown.items() if value is not None}
