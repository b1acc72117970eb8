"""How a command runs: its words, Hydra's composition, help, and errors of one line."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser  # the flags that Hydra knows
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from minitx.commands.command import Command
from minitx.commands.completion import complete_line, config_folders
from minitx.commands.help import help_text, overview
from minitx.commands.quoting import quoted
from minitx.commands.table import COMMANDS
from minitx.config.compose import to_typed
from minitx.config.keys import CONF, chosen, describe, keys, nearest, nearest_key, options
from minitx.config.renames import renamed_overrides
from minitx.config.schema import MODELS, ModelConfig
from minitx.errors import StoppedByUser, UserError
from minitx.runs.paths import launched_by_lightning

COMPLETION = {"-sc", "--shell_completion"}
HELP = {"-h", "--help"}
SWEEP = {"-m", "--multirun"}


class UserConfigFolders(SearchPathPlugin):
    """Let files in the user's --config-dir replace the files of the same name in conf/.

    Hydra itself puts that folder last.
    """

    folders: Sequence[str] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend("own", f"file://{Path(folder).absolute()}", anchor="main")


def main(name: str | None = None) -> None:
    """Run a command with the command line of this process.

    `minitx` calls it without a name, which is then the first word; scripts/*.py give theirs. A
    UserError, or a command line that Hydra cannot read, ends the process with one line on standard
    error and status 1.
    """
    words = sys.argv[1:]
    command = None if name is None else COMMANDS[name]
    if COMPLETION & set(words) and "COMP_LINE" in os.environ:
        print("\n".join(complete_line(os.environ["COMP_LINE"], command)))
    elif "--version" in words:
        print(f"minitx {version('minitx')}")
    elif command is None and (not words or words[0] in HELP):
        print(overview())
    else:
        try:
            if command is None and COMPLETION & set(words):
                command = COMMANDS["train"]  # Hydra installs the completion of `minitx` as a whole
            elif command is None:
                command = _command_named(words.pop(0))
            run(command, words)
        except UserError as error:
            _say(str(error))
            sys.exit(1)


def _command_named(word: str) -> Command:
    """Return the command of this name. Raises UserError, with the nearest name."""
    if word in COMMANDS:
        return COMMANDS[word]
    if word == "help":
        raise UserError("help: write minitx --help, or minitx <command> --help")
    if "=" in word or word.startswith("-"):
        raise UserError(f"{word}: write a command first, as in minitx train {word}")
    names = {each.script or name: name for name, each in COMMANDS.items()}
    near = nearest(word, [*COMMANDS, *names])
    hint = f": did you mean {names.get(near, near)}?" if near else ";"
    raise UserError(f"there is no command {word}{hint} minitx --help lists the commands")


def run(command: Command, words: list[str]) -> None:
    """Compose the command's config with the words, and call its function with it.

    In a multirun the function is called once for each job, whether or not others fail, and
    `command.conclude` at the end. Raises UserError for words that cannot be read; exits with status
    1 if a job failed.
    """
    if command.schema is None:
        command.function(words)
        return
    if HELP & set(words):
        print(help_text(command))
        return
    words = renamed_overrides(words)
    _check_words(command, words)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us instead of printing them
    started = sys.argv[1 : len(sys.argv) - len(words)]  # the command's name after `minitx`
    # Hydra reads -m among the words only if it comes first.
    sweep = [word for word in words if word in SWEEP][:1]
    words = [word for word in words if word not in SWEEP]
    asked = [*sweep, *(word if sweep else quoted(word) for word in words)]
    jobs = Jobs(command, started, asked)

    def job(composed: DictConfig) -> None:
        jobs.run(composed)

    sys.argv[1:] = asked
    Plugins.instance().register(UserConfigFolders)
    UserConfigFolders.folders = config_folders(words)
    config_name = command.register()
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(job)()
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        jobs.add_failure(error, config_folders(words))
    finally:
        UserConfigFolders.folders = ()
        if sweep and jobs.results:
            command.conclude(jobs.results)
    jobs.finish()


class Jobs:
    """The jobs of one command line: one, or several in a multirun."""

    def __init__(self, command: Command, started: list[str], asked: list[str]) -> None:
        self.command, self.started, self.asked = command, started, asked
        self.results: list[Any] = []
        self.failures: list[Exception] = []
        self.failed: list[str] = []  # the overrides that are a failed job's own

    def run(self, composed: DictConfig) -> None:
        """Call the command's function with a composed config."""
        UserConfigFolders.folders = ()  # not for the configs that the function composes
        overrides = list(HydraConfig.get().overrides.task)
        multirun = HydraConfig.get().mode == RunMode.MULTIRUN
        # Lightning starts further processes for DDP with this command line: of the job alone.
        folders = [f"--config-dir={folder}" for folder in config_folders(self.asked)]
        sys.argv[1:] = [*self.started, *([*folders, *overrides] if multirun else self.asked)]
        assert self.command.schema is not None
        try:
            typed = to_typed(composed, self.command.schema, overrides)  # type: ignore[var-annotated]
            self.results.append(self.command.function(typed, overrides))
        except UserError as error:
            self.failures.append(error)
            common = {word.casefold() for word in self.asked}  # Hydra turns false into False
            own = " ".join(word for word in overrides if word.casefold() not in common)
            self.failed.append(own)
            _say(f"{own}: {error}" if multirun else str(error))
            if isinstance(error, StoppedByUser):
                sys.exit(1)
            if multirun:
                raise  # for launchers that run jobs in other processes; Hydra does the others first

    def add_failure(self, error: Exception, folders: list[str]) -> None:
        """Print what ended the command, unless a job has. Raises an error that is a bug."""
        if error in self.failures:
            return
        if isinstance(error, OSError) and not isinstance(error, HydraException):
            if error.errno not in (errno.EACCES, errno.EROFS) or error.filename is None:
                raise error
            message = f"{error.filename} cannot be written or read: {error.strerror}"
        else:
            assert self.command.schema is not None
            message = describe(error, self.command.schema, self.asked, folders)
        self.failures.append(error)
        _say(message)

    def finish(self) -> None:
        """Exit with status 1 if a job failed."""
        count = len(self.failures) + len(self.results)
        if self.failures and count > 1:
            _say(f"{len(self.failures)} of {count} jobs failed: {'; '.join(self.failed)}")
        if self.failures:
            sys.exit(1)


def _check_words(command: Command, words: list[str]) -> None:
    """Refuse words that Hydra would answer with a traceback or a usage line. Raises UserError."""
    flags = get_args_parser()._option_string_actions
    for word in words:
        name, _, value = word.partition("=")
        if word == "help":
            raise UserError(f"help: write {command.line('--help')}")
        if word.startswith("-") and name not in flags:
            raise _unknown_flag(command, words, name)
        if word.startswith("~"):
            raise UserError(f"{word}: no part of the config can be left out")
        if value == "null" and (CONF / name).is_dir():
            known = ", ".join(options(name, *config_folders(words)))
            raise UserError(f"{word}: leave it out, or choose one; {name} may be one of {known}")


def _unknown_flag(command: Command, words: list[str], flag: str) -> UserError:
    assert command.schema is not None
    model = MODELS.get(chosen(words, "model") or "transformer", ModelConfig)
    known = [name for name, _ in keys(command.schema, model)]
    near = nearest_key(flag.lstrip("-").replace("-", "_"), known)
    hint = f": did you mean {near}=...?" if near else "; --help lists the keys"
    return UserError(f"{flag}: keys are written key=value, without dashes{hint}")


def _say(message: str) -> None:
    if not launched_by_lightning():
        print(f"error: {message}", file=sys.stderr)
