"""Run a command: parse its arguments, compose its config, and report errors in one line."""

import errno
import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib.metadata import version
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser  # the flags that Hydra knows
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from minitx.commands.command import Command
from minitx.commands.completion import complete_line, config_folders, with_full_folders
from minitx.commands.help import help_text, overview
from minitx.commands.quoting import quoted
from minitx.commands.table import COMMANDS
from minitx.config.compose import to_typed
from minitx.config.keys import CONF, describe, key_hint, keys, model_schema, nearest, options
from minitx.config.paths import working_folder
from minitx.config.renames import renamed_overrides
from minitx.data.cleaning import check_unicode
from minitx.errors import DISK_FULL, StoppedByUser, UserError, enough_memory
from minitx.runs.paths import launched_by_lightning
from minitx.terminal.streams import ReaderGone, note_lost_messages, protect_streams, write_data
from minitx.terminal.text import note

COMPLETION = {"-sc", "--shell_completion"}
HELP = {"-h", "--help"}
SWEEP = {"-m", "--multirun"}
PAGES = {"-c", "--cfg", "-i", "--info"}  # Hydra prints the config and runs no job
ARM = re.compile(r"~study\.arms\.[\w-]+")  # that a study leaves out
UNWRITABLE = (errno.EACCES, errno.EROFS, *DISK_FULL)


class UserConfigFolders(SearchPathPlugin):
    """Let files in the user's --config-dir replace the files of the same name in conf/.

    Hydra itself puts that folder last.
    """

    folders: Sequence[str] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend("own", f"file://{folder}", anchor="main")


def main(name: str | None = None) -> None:
    """Run a command with the command line of this process.

    `minitx` calls it without a name, which is then the first word; scripts/*.py give theirs. A
    UserError, or a command line that Hydra cannot read, ends the process with one line on standard
    error and status 1. A reader of standard output that goes away, such as `head`, is not an error.
    """
    protect_streams()
    try:
        _main(name)
    except UserError as error:
        _say(str(error))
        sys.exit(1)
    except ReaderGone:
        return
    note_lost_messages()


def _main(name: str | None) -> None:
    arguments = sys.argv[1:]
    command = None if name is None else COMMANDS[name]
    if COMPLETION & set(arguments) and "COMP_LINE" in os.environ:
        write_data("\n".join(complete_line(os.environ["COMP_LINE"], command)) + "\n")
    elif "--version" in arguments:
        write_data(f"minitx {version('minitx')}\n")
    elif command is None and (not arguments or arguments[0] in HELP):
        write_data(f"{overview()}\n")
    else:
        if command is None and COMPLETION & set(arguments):
            command = COMMANDS["train"]  # Hydra installs the completion of `minitx` as a whole
        elif command is None:
            command = _command_named(arguments.pop(0))
        run(command, arguments)


def _command_named(argument: str) -> Command:
    """Return the command of this name. Raises UserError, with the nearest name."""
    if argument in COMMANDS:
        return COMMANDS[argument]
    if argument == "help":
        raise UserError("help: write minitx --help, or minitx <command> --help")
    if argument.startswith("-") and _flag(argument) not in get_args_parser()._option_string_actions:
        wrong = _unknown_flag(COMMANDS["train"], [], _flag(argument))
        raise UserError(f"write a command first, as in minitx train; {wrong}")
    if "=" in argument or argument.startswith("-"):
        raise UserError(f"{argument}: write a command first, as in minitx train {argument}")
    names = {each.script or name: name for name, each in COMMANDS.items()}
    near = nearest(argument, [*COMMANDS, *names])
    hint = f": did you mean {names.get(near, near)}?" if near else ";"
    raise UserError(f"there is no command {argument}{hint} minitx --help lists the commands")


def run(command: Command, arguments: list[str]) -> None:
    """Compose the command's config with the arguments, and call its function with it.

    In a multirun the function is called once for each job, whether or not others fail, and
    `command.conclude` at the end. Raises UserError for arguments that cannot be read; exits with
    status 1 if a job failed.
    """
    if command.schema is None:
        command.function(arguments)
        return
    if HELP & set(arguments):
        write_data(f"{help_text(command)}\n")
        return
    working_folder()  # Hydra needs it, too
    arguments = with_full_folders(renamed_overrides(arguments))
    _check_arguments(command, arguments)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us instead of printing them
    started = sys.argv[1 : len(sys.argv) - len(arguments)]  # the command's name after `minitx`
    # Hydra reads -m among the arguments only if it comes first.
    sweep = [each for each in arguments if each in SWEEP][:1]
    left_out = [each for each in arguments if each.startswith("~")]  # Hydra can do less with them
    arguments = [each for each in arguments if each not in (*SWEEP, *left_out)]
    asked = [*sweep, *(each if sweep else quoted(each) for each in arguments)]
    jobs = Jobs(command, started, asked, left_out)

    def job(composed: DictConfig) -> None:
        jobs.run(composed)

    sys.argv[1:] = asked
    Plugins.instance().register(UserConfigFolders)
    UserConfigFolders.folders = config_folders(arguments)
    config_name = command.register()
    page = io.StringIO()
    shown = redirect_stdout(page) if PAGES & {*map(_flag, arguments)} else nullcontext()
    try:
        with shown:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(job)()
        if page.getvalue():
            write_data(page.getvalue())
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        jobs.add_failure(error, config_folders(arguments))
    finally:
        UserConfigFolders.folders = ()
        if sweep and jobs.results:
            command.conclude(jobs.results)
    jobs.finish()


class Jobs:
    """The jobs of one command line: one, or several in a multirun."""

    def __init__(
        self, command: Command, started: list[str], asked: list[str], left_out: list[str]
    ) -> None:
        self.command, self.started, self.asked = command, started, asked
        self.left_out = left_out
        self.results: list[Any] = []
        self.failures: list[Exception] = []
        self.failed: list[str] = []  # the overrides that are a failed job's own

    def run(self, composed: DictConfig) -> None:
        """Call the command's function with a composed config."""
        protect_streams()  # if a launcher runs the job in a process of its own
        UserConfigFolders.folders = ()  # not for the configs that the function composes
        try:
            overrides = list(HydraConfig.get().overrides.task)
        except OmegaConfBaseException as error:  # an interpolation that leads nowhere
            self.add_failure(error, [])  # Hydra would report an exception
            return
        multirun = HydraConfig.get().mode == RunMode.MULTIRUN
        # Lightning starts further processes for DDP with this command line: of the job alone.
        folders = [f"--config-dir={folder}" for folder in config_folders(self.asked)]
        sys.argv[1:] = [*self.started, *([*folders, *overrides] if multirun else self.asked)]
        assert self.command.schema is not None
        try:
            typed = to_typed(composed, self.command.schema, overrides)  # type: ignore[var-annotated]
            with enough_memory("ask for less at once"):
                self.results.append(self.command.function(typed, [*overrides, *self.left_out]))
        except ReaderGone:
            sys.exit()  # Hydra would report an exception
        except UserError as error:
            self.failures.append(error)
            common = {each.casefold() for each in self.asked}  # Hydra turns false into False
            own = " ".join(each for each in overrides if each.casefold() not in common)
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
        if isinstance(error, OSError) and not isinstance(error, HydraException | UserError):
            if error.errno not in UNWRITABLE:
                raise error
            message = f"{error.filename or 'a file'} cannot be written or read: {error.strerror}"
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


def _flag(argument: str) -> str:
    """Return the name of a flag that may come with its value: --cfg=job."""
    return argument.partition("=")[0]


def _check_arguments(command: Command, arguments: list[str]) -> None:
    """Raise UserError for arguments that Hydra answers with a traceback or a usage line."""
    flags = get_args_parser()._option_string_actions
    groups, paths = [folder.name for folder in CONF.iterdir() if folder.is_dir()], command.paths
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in paths and name not in flags:  # the name of a file may have any bytes
            check_unicode(value, f"{name}=")
        if argument == "help":
            raise UserError(f"help: write {command.line('--help')}")
        if argument.startswith("-") and name not in flags:
            raise _unknown_flag(command, arguments, name)
        if argument.startswith("~"):
            _check_left_out(command, argument)
        if name in paths and not value:
            raise UserError(f"{argument} is empty: give a path, or leave {name} out")
        if value.strip("\"'") == "???":
            raise UserError(
                f"{argument}: ??? is a missing value to Hydra: write another, or ./??? for a file"
            )
        if argument.startswith("="):
            raise UserError(f"{argument}: write key=value")
        if name in groups and not _names_options(argument):
            known = ", ".join(options(name, *config_folders(arguments)))
            raise UserError(
                f"{argument}: leave it out, or choose one; {name} may be one of {known}"
            )


def _check_left_out(command: Command, argument: str) -> None:
    """Raise UserError for an argument that leaves out anything but an arm of a study."""
    if command.config != "compare":
        raise UserError(f"{argument}: no part of the config can be left out")
    if not ARM.fullmatch(argument):
        raise UserError(f"{argument}: only an arm of a study can be left out, ~study.arms.NAME")


def _names_options(argument: str) -> bool:
    """Return whether the value of a config group may name its options. Hydra checks the names."""
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        return True  # Hydra says what it cannot read
    return override.is_sweep_override() or isinstance(override.value(), str | list | dict)


def _unknown_flag(command: Command, arguments: list[str], flag: str) -> UserError:
    assert command.schema is not None
    known = [name for name, _ in keys(command.schema, model_schema(arguments))]
    hint = key_hint(flag.lstrip("-").replace("-", "_"), known, "=...")
    return UserError(f"{flag}: keys are written key=value, without dashes{hint}")


def _say(message: str) -> None:
    if not launched_by_lightning():
        note(f"error: {message}")
