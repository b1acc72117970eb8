"""What a command is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore

from minitx.config.command_line import command_line, running_script
from minitx.config.compose import register_schemas, store_schema
from minitx.config.keys import keys
from minitx.config.paths import is_path

# Hydra creates no folder and no log file, and stays in the working folder.
QUIET = {"output_subdir": None, "run": {"dir": "."}}
NO_LOGGING = [{f"override hydra/{name}": "disabled"} for name in ("hydra_logging", "job_logging")]


@dataclass(frozen=True)
class Command:
    """`minitx <name>`, and `scripts/<script>.py` if there is such a file.

    `function` gets the typed config and the overrides. With `-m` it is called for each job, and
    `conclude` is called at the end with all results. A command without a schema parses its own
    options: `function` gets the words of the command line.

    `texts` and `paths` are the keys whose values are passed verbatim. Hydra would interpret commas,
    quotes and brackets in them.
    """

    name: str
    summary: str  # one sentence
    function: Callable[..., Any]
    schema: type | None
    examples: tuple[tuple[str, str], ...]  # words, and what they do
    config: str | None = None  # the file in conf/, if the command has one
    groups: tuple[str, ...] = ()  # config groups to choose from
    texts: tuple[str, ...] = ()
    conclude: Callable[[list[Any]], None] = lambda results: None
    script: str | None = None  # if it differs from `name`

    def line(self, *words: str) -> str:
        """Return the command with these words as the user would type it."""
        return command_line(self.name, *words, script=self.script)

    @property
    def usage(self) -> str:
        """The command as examples show it."""
        script = f"python scripts/{self.script or self.name}.py"
        return f"minitx {self.name}" if running_script() is None else script

    @property
    def paths(self) -> list[str]:
        """The keys whose values are paths."""
        return [name for name, field in keys(self.schema) if is_path(field)] if self.schema else []

    def register(self) -> str:
        """Give Hydra the schema, and return the name of the config that Hydra composes."""
        register_schemas()
        if self.config is not None:
            return self.config
        assert self.schema is not None  # a command without one does not use Hydra
        schema = f"{self.name}_schema"
        store_schema(schema, self.schema)
        defaults = [schema, "_self_", *NO_LOGGING]
        ConfigStore.instance().store(name=self.name, node={"defaults": defaults, "hydra": QUIET})
        return self.name
