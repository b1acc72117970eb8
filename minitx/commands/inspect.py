"""Show what every head of a trained model attends to in a text."""

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.config.schema import InspectConfig
from minitx.errors import UserError
from minitx.runs.checks import check_run


def inspect(config: InspectConfig, overrides: list[str]) -> None:
    """Write the page, the pictures and the data of a run and a text, and print the table."""
    check_inspection(config)
    with loading(f"torch and {config.run}"):
        from minitx.inspection.report import inspect_run, show_inspection

    show_inspection(*inspect_run(config))


def check_inspection(config: InspectConfig) -> None:
    """Raise UserError if a run or the text is missing."""
    check_run(config.run)
    if config.text is None:
        raise UserError('no text given: set text="..."')
    for key in ("other", "third"):
        if (path := getattr(config, key)) is not None:
            check_run(path, key=key)


COMMAND = Command(
    name="inspect",
    summary="Show what every head attends to in a text: a page, pictures, data, a table.",
    function=inspect,
    schema=InspectConfig,
    examples=(
        ('run=runs/... text="attention"', ""),
        ('run=runs/... other=runs/... text="attention"', ""),
    ),
    texts=("text", "target"),
    script="inspect_attention",  # a file named inspect.py would hide Python's own module
)
