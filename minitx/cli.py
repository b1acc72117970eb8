"""What every script shares: Hydra's composition, help that reads well, errors of one line."""

import os
import re
import sys
from collections.abc import Callable
from typing import TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from minitx.composition import (
    CONF,
    launched_by_lightning,
    literal,
    nearest,
    options,
    register_schemas,
    set_help,
    to_typed,
    unknown_key,
)
from minitx.errors import UserError
from minitx.help import help_text

Schema = TypeVar("Schema")

# Free text and paths: Hydra would otherwise read commas, quotes and brackets in them.
VERBATIM = ("prompt", "run", "resume", "run.dir", "data.dir", "data.path", "data.cache_dir")


def main(
    config_name: str, schema: type[Schema], action: Callable[[Schema, list[str]], None]
) -> None:
    """Composes `conf/<config_name>.yaml` with the command line and calls `action` with it.

    `action` gets the typed config and the command line's overrides; in a multirun once for each
    job. A UserError, or a command line that Hydra cannot follow, ends the process with one line
    on standard error and status 1.
    """
    register_schemas()
    if {"-h", "--help"} & set(sys.argv):
        set_help(help_text(config_name, schema))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us instead of printing them
    sweeping = {"-m", "--multirun"} & set(sys.argv)
    sys.argv[1:] = [arg if sweeping else quoted(arg) for arg in sys.argv[1:]]

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def job(composed: DictConfig) -> None:
        overrides = list(HydraConfig.get().overrides.task)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            sys.argv[1:] = overrides  # what Lightning starts for DDP is this job, not the sweep
        try:
            action(to_typed(composed, schema), overrides)
        except UserError as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # after all the other jobs; Hydra says which one it was
            failures.append(error)

    failures: list[Exception] = []
    try:
        job()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        failures.append(error)
    if failures and not launched_by_lightning():
        print(f"error: {describe(failures[0], schema)}", file=sys.stderr)
    if failures:
        sys.exit(1)


def quoted(argument: str) -> str:
    """A command-line argument with its value in Hydra's quotes, where it is free text or a path."""
    name, equals, value = argument.partition("=")
    already_quoted = re.fullmatch(r""""(\\.|[^"\\])*"|'(\\.|[^'\\])*'""", value, re.DOTALL)
    if name not in VERBATIM or already_quoted or (value == "null" and name != "prompt"):
        return argument
    value = literal(value)
    # Inside quotes, backslashes count only before a quote: double those, and escape the quote.
    value = re.sub(r'(\\*)"', r'\1\1\\"', value)
    value = re.sub(r"(\\+)\Z", r"\1\1", value)
    return f'{name}{equals}"{value}"'


def describe(error: Exception, schema: type) -> str:
    """One line that says what was wrong and what would be right."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        group, _, option = error.missing_cfg_file.rpartition("/")
        known = options(group)
        near = nearest(option, known)
        hint = f"did you mean {near}? " if near else ""
        return f"{group}={option}: {hint}{group} may be one of {', '.join(known)}"
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read {error.override!r}: write key=value, and put a value with blanks or "
            "commas in two pairs of quotes, as in 'key=\"a, b\"'"
        )
    cause = error.__cause__
    if isinstance(error, ConfigCompositionException) and isinstance(cause, OmegaConfBaseException):
        return _describe_value(cause, str(error), schema)
    if isinstance(error, OmegaConfBaseException):
        return _describe_value(error, "", schema)
    return " ".join(str(error).split())


def _describe_value(error: OmegaConfBaseException, context: str, schema: type) -> str:
    override = re.search(r"(?:override|value) '?([\w.]+)", context)
    name = error.full_key or (override and override.group(1)) or str(error.key)
    if "not in" in str(error):
        model = DictConfig({"model": {"name": _model_asked_for()}})
        return str(unknown_key(name, model, schema))
    return f"{name}: {str(error).splitlines()[0]}"


def _model_asked_for() -> str:
    names = [arg.split("=", 1)[1] for arg in sys.argv[1:] if arg.startswith("model=")]
    return names[-1] if names else "transformer"
