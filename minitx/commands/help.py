"""The pages that --help prints, from the table of commands and the schemas of their keys."""

import dataclasses
import textwrap
from typing import Any

from omegaconf import OmegaConf

from minitx.commands.command import Command
from minitx.commands.table import COMMANDS
from minitx.config.compose import composed
from minitx.config.fields import as_typed
from minitx.config.keys import keys, options, type_name
from minitx.config.schema import MODELS

INDENT = 34  # columns before an explanation
WIDTH = 100  # columns of a line


def overview() -> str:
    """Return the page of `minitx --help`: every command with one sentence."""
    return "\n".join(
        [
            "Small Transformers and RNN baselines: trained alike, compared fairly, open to "
            "inspection.",
            "",
            *(f"  minitx {name:<11} {each.summary}" for name, each in COMMANDS.items()),
            "",
            "minitx <command> --help explains a command. minitx --version prints the version.",
            'eval "$(minitx -sc install=bash)" turns on tab completion.',
        ]
    )


def help_text(command: Command) -> str:
    """Return a command's page: examples, the options of each group, every key and its default."""
    assert command.schema is not None
    defaults = composed(command.register())
    lines = [command.summary, "", *_examples(command), ""]
    if command.groups:
        lines.append("Choices (group=name):")
        for group in command.groups:
            line = f"  {group:<11} {', '.join(options(group))}"
            lines += textwrap.wrap(line, width=WIDTH, subsequent_indent=" " * 14)
        lines.append("")
    lines.append("Keys (key=value), with their defaults:")
    for name, field in all_keys(command.schema):
        if dataclasses.is_dataclass(field.type):
            lines.append(f"\n{name}: {field.metadata['help']}")
        else:
            lines += _entry(name, field, OmegaConf.select(defaults, name, default=field.default))
    lines += ["", "--cfg job prints the composed config. --hydra-help lists Hydra's own options."]
    return "\n".join(lines)


def _examples(command: Command) -> list[str]:
    lines = [(f"  {command.usage} {words}".rstrip(), about) for words, about in command.examples]
    width = max((len(line) for line, about in lines if about), default=0) + 3
    return [f"{line:<{width}}{about}".rstrip() for line, about in lines]


def all_keys(schema: type) -> list[tuple[str, dataclasses.Field[Any]]]:
    """Return the keys of all models, each once, group by group."""
    found = {name: field for model in MODELS.values() for name, field in keys(schema, model)}
    groups = list(dict.fromkeys(name.split(".")[0] for name in found))
    return sorted(found.items(), key=lambda item: groups.index(item[0].split(".")[0]))


def _entry(name: str, field: dataclasses.Field[Any], default: Any) -> list[str]:
    head = f"  {name}={as_typed(default)}".replace("\n", "\\n")
    if len(head) > WIDTH:
        head = f"  {name}=..."  # the arms of a study
    choices = field.metadata.get("choices")
    about = field.metadata["help"]
    about += f": {', '.join(choices)}" if choices else f" ({type_name(field)})"
    wrapped = textwrap.wrap(about, width=WIDTH - INDENT, break_on_hyphens=False)
    if len(head) >= INDENT:
        return [head, *(" " * INDENT + line for line in wrapped)]
    return [f"{head:<{INDENT}}{wrapped[0]}", *(" " * INDENT + line for line in wrapped[1:])]
