"""Follow one attention head step by step, with every number."""

from typing import TYPE_CHECKING

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.config.schema import ExplainConfig
from minitx.errors import UserError
from minitx.runs.checks import check_run
from minitx.runs.paths import check_output

if TYPE_CHECKING:  # this module imports torch
    from minitx.inspection.tables import Page


def explain(config: ExplainConfig, overrides: list[str]) -> None:
    """Write the tutorial, or the steps of one head of `config.run` on `config.text`."""
    page = page_for(config)
    from minitx.inspection.explain import write_page

    write_page(page, config.format, config.output)


def page_for(config: ExplainConfig) -> "Page":
    """Return the page that `config` asks for.

    Raises UserError as `check_explanation`, `StoredRun.open` and `explain_head` do.
    """
    check_explanation(config)
    with loading(f"torch and {config.run or 'the tutorial'}"):
        from minitx.inspection.explain import explain_head
        from minitx.inspection.tutorial import tutorial
        from minitx.runs.run import StoredRun

    if config.run is None:
        return tutorial()
    assert config.text is not None
    return explain_head(
        StoredRun.open(config.run, config.device),
        config.text,
        part=config.part,
        layer=config.layer or 0,
        head=config.head or 0,
        truncate=config.truncate,
    )


def check_explanation(config: ExplainConfig) -> None:
    """Raise UserError for a run without a text, keys of a run without a run, or an output that
    exists.
    """
    check_output(config.output)
    if config.run is not None:
        if config.text is None:
            raise UserError('no text given: set text="..."')
        check_run(config.run)
        return
    for name in ("text", "part", "layer", "head"):
        if getattr(config, name) is not None:
            raise UserError(
                f"{name}= is for a trained model: set run=<a run's folder or .ckpt file> as well"
            )


COMMAND = Command(
    name="explain",
    summary="Follow one attention head through its four steps, with every number.",
    function=explain,
    schema=ExplainConfig,
    examples=(
        ("", 'the tutorial: "The cat sat"'),
        ('run=runs/... layer=0 head=3 text="To be, or not to be"', ""),
        ('run=runs/... part=cross text="attention"', ""),
        ("format=html output=explain.html", ""),
    ),
    texts=("text",),
)
