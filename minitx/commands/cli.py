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

from minitx.config.compose import (
    CONF,
    literal,
    nearest,
    options,
    register_schemas,
    to_typed,
    unknown_key,
)
from minitx.config.help import help_text
from minitx.config.renames import renamed_overrides
from minitx.errors import StoppedByUser, UserError
from minitx.runs.paths import launched_by_lightning

Schema = TypeVar("Schema")
Result = TypeVar("Result")

# Free text and paths: Hydra would otherwise read commas, quotes and brackets in them.
VERBATIM = (
    *("prompt", "text", "target", "input", "output", "run", "other", "resume", "run.dir", "dir"),
    *("study.dir", "study.runs"),
    *("data.dir", "data.path", "data.target_path", "data.cache_dir"),
)


def main(
    config_name: str,
    schema: type[Schema],
    action: Callable[[Schema, list[str]], Result],
    conclude: Callable[[list[Result]], None] = lambda results: None,
) -> None:
    """Composes `conf/<config_name>.yaml` with the command line and calls `action` with it.

    `action` gets the typed config and the command line's overrides. In a multirun it is called once
    for each job, whether or not others fail, and `conclude` at the end with all that it returned.
    A UserError, or a command line that Hydra cannot follow, ends the process with one line on
    standard error and status 1.
    """
    register_schemas()
    if {"-h", "--help"} & set(sys.argv):
        print(help_text(config_name, schema))
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us instead of printing them
    sweeping = {"-m", "--multirun"} & set(sys.argv)
    # Hydra understands -m between words only where it comes first.
    try:
        words = renamed_overrides([word for word in sys.argv[1:] if word not in sweeping])
    except UserError as error:
        _say(str(error))
        sys.exit(1)
    sys.argv[1:] = [*sweeping, *(word if sweeping else quoted(word) for word in words)]

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def job(composed: DictConfig) -> None:
        overrides = list(HydraConfig.get().overrides.task)
        multirun = HydraConfig.get().mode == RunMode.MULTIRUN
        if multirun:
            sys.argv[1:] = overrides  # what Lightning starts for DDP is this job, not the sweep
        try:
            results.append(action(to_typed(composed, schema), overrides))
        except UserError as error:
            failures.append(error)
            common = {word.casefold() for word in asked}  # Hydra turns false into False
            swept.append(" ".join(word for word in overrides if word.casefold() not in common))
            _say(f"{swept[-1]}: {error}" if multirun else str(error))
            if isinstance(error, StoppedByUser):
                sys.exit(1)
            if multirun:
                raise  # for launchers that run jobs in other processes; Hydra does the others first

    asked = sys.argv[1:]
    results: list[Result] = []
    failures: list[Exception] = []
    swept: list[str] = []  # what each of the jobs that failed had of its own
    try:
        _check_words(words)
        job()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if error not in failures:
            failures.append(error)
            _say(describe(error, schema))
    finally:
        if sweeping and results:
            conclude(results)
    if failures and len(failures) + len(results) > 1:
        jobs = len(failures) + len(results)
        _say(f"{len(failures)} of {jobs} jobs failed: {'; '.join(swept)}")
    if failures:
        sys.exit(1)


def _check_words(words: list[str]) -> None:
    """Refuses what Hydra would answer with a traceback. Raises UserError."""
    for word in words:
        name, _, value = word.partition("=")
        if word.startswith("~"):
            raise UserError(f"{word}: no part of the config can be left out")
        if value == "null" and (CONF / name).is_dir():
            known = ", ".join(options(name))
            raise UserError(f"{word}: leave it out, or say which; {name} may be one of {known}")


def _say(message: str) -> None:
    if not launched_by_lightning():
        print(f"error: {message}", file=sys.stderr)


def quoted(argument: str) -> str:
    """A command-line argument with its value in Hydra's quotes, where it is free text or a path."""
    name, equals, value = argument.partition("=")
    already_quoted = re.fullmatch(r""""(\\.|[^"\\])*"|'(\\.|[^'\\])*'""", value, re.DOTALL)
    is_text = equals and name in VERBATIM
    if not is_text or already_quoted or (value == "null" and name not in ("prompt", "text")):
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
    said = str(error).splitlines()[0]
    if "is not a ListConfig" in said:
        return f"{name} is a list: write {name}=[...], also where it holds one value"
    return f"{name}: {said}"


def _model_asked_for() -> str:
    names = [arg.split("=", 1)[1] for arg in sys.argv[1:] if arg.startswith("model=")]
    return names[-1] if names else "transformer"
