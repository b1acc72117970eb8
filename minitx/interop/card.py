"""The model card of an export, README.md, from the template web/card.md."""

import json
import re
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, StrictUndefined

from minitx.config.compose import to_plain
from minitx.config.schema import Config
from minitx.config.tasks import LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE
from minitx.drawing.formatting import is_number
from minitx.drawing.html import source
from minitx.errors import UserError
from minitx.interop.counterparts import Counterpart
from minitx.models.language_model import count_parameters
from minitx.runs.card import facts_table, scores_table
from minitx.runs.paths import SUMMARY, read_summary
from minitx.runs.run import StoredRun

# The values of summary.json that a card has.
NUMBERS = (
    "parameters",
    "parameters_non_embedding",
    "steps",
    "tokens_seen",
    "train_seconds",
    "peak_memory_mb",
)
WORDS = ("data_fingerprint", "git_commit")


def model_card(run: StoredRun, counterpart: Counterpart | None) -> str:
    """Return the card as Markdown.

    The metrics and the training are those of summary.json. A run that is a single checkpoint has
    none: the card then leaves them out.
    """
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(source("minitx.interop", "card.md"))
    total, non_embedding = count_parameters(run.model)
    elsewhere = not run.step  # minitx.from_transformers
    summary = read_summary(run.folder)
    if summary and not _is_of_a_run(summary):
        raise UserError(
            f"{run.folder / SUMMARY} is not one that minitx wrote: delete it to go on without it"
        )
    return template.render(
        run=run,
        config=run.config,
        task=run.config.task,
        counterpart=counterpart,
        version=version("minitx"),
        parameters=total,
        non_embedding=non_embedding,
        facts=facts_table(run.config, summary),
        scores=scores_table(summary) if summary else "",
        settings=_settings(run.config, elsewhere),
        elsewhere=elsewhere,
        is_language_model=run.config.task.objective == LANGUAGE_MODELING,
        is_pair=run.config.task.objective == SEQUENCE_TO_SEQUENCE,
    )


def _is_of_a_run(summary: dict[str, Any]) -> bool:
    """Return whether the card's values in summary.json are numbers, and words without markup."""
    metrics, versions = summary.get("metrics"), summary.get("versions", {})
    if not isinstance(metrics, dict) or not isinstance(versions, dict):
        return False
    numbers = [*metrics.values(), *(summary.get(name) or 0 for name in NUMBERS)]
    words = [*metrics, *versions, *versions.values(), *(summary.get(name) or "" for name in WORDS)]
    plain = (isinstance(word, str) and re.fullmatch(r"[\w/@.+ -]*", word) for word in words)
    return all(map(is_number, numbers)) and all(plain)


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
