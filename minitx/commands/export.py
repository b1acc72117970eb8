"""Write a trained model for other programs."""

from pathlib import Path

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.config.schema import ExportConfig
from minitx.errors import UserError
from minitx.runs.checks import check_run
from minitx.runs.paths import check_absent


def export(config: ExportConfig, overrides: list[str]) -> None:
    """Write the model of a run into a new folder, and upload it if `push=` says so."""
    check_export(config)
    with loading(f"torch and {config.run}"):
        from minitx.interop.export import export_run, show_export

    show_export(export_run(config))


def check_export(config: ExportConfig) -> None:
    """Raise UserError if the run is missing, if the folder is missing or exists, or if nothing can
    be uploaded under the name.
    """
    check_run(config.run)
    if config.to is None:
        raise UserError("no folder given: set to=<a new folder>")
    check_absent(Path(config.to), "to")
    if config.push is not None:
        from minitx.interop.upload import check_push

        check_push(config.push)


COMMAND = Command(
    name="export",
    summary="Write a trained model for transformers, or for torch alone, with a model card.",
    function=export,
    schema=ExportConfig,
    examples=(
        ("run=runs/... to=out/", "for transformers, if it can"),
        ("run=runs/... to=out/ format=torch", "for torch alone"),
        ("run=runs/... to=out/ push=user/name", "and upload it"),
    ),
    texts=("push",),
)
