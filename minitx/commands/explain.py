"""Show one head of attention step by step, with its numbers."""

from typing import TYPE_CHECKING

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.config.schema import ExplainConfig
from minitx.errors import UserError
from minitx.runs.checks import check_run
from minitx.runs.paths import check_output

if TYPE_CHECKING:  # it imports torch
    from minitx.inspection.tables import Page


def explain(config: ExplainConfig, overrides: list[str]) -> None:
    """Write the tutorial, or one head of `config.run` while it reads `config.text`."""
    page = page_for(config)
    from minitx.inspection.explain import write_page

    write_page(page, config.format, config.output)


def page_for(config: ExplainConfig) -> "Page":
    """What `config` asks for.

    Raises UserError for a key that is of a run where there is none, for a run without a text, and
    as `load` and `explain_head`.
    """
    check_explanation(config)
    with loading(f"torch and {config.run or 'the tutorial'}"):
        from minitx.inspection.explain import explain_head
        from minitx.inspection.tutorial import tutorial
        from minitx.runs.run import load

    if config.run is None:
        return tutorial()
    assert config.text is not None
    return explain_head(
        load(config.run, config.device),
        config.text,
        part=config.part,
        layer=config.layer or 0,
        head=config.head or 0,
        truncate=config.truncate,
    )


def check_explanation(config: ExplainConfig) -> None:
    """Refuses keys of a run where there is none, a run without a text, an output that is there.

    Raises UserError.
    """
    check_output(config.output)
    if config.run is not None:
        if config.text is None:
            raise UserError('which text is the model to read? text="..."')
        check_run(config.run)
        return
    for name in ("text", "part", "layer", "head"):
        if getattr(config, name) is not None:
            raise UserError(
                f"{name}= is of a trained model: say run=<a run's folder or .ckpt file> too"
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
    paths=("run", "output"),
)
