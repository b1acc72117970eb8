"""Continue a prompt with a trained language model."""

from minitx.commands.command import Command
from minitx.commands.console import loading, stream
from minitx.config.schema import GenerateConfig
from minitx.config.tasks import LANGUAGE_MODELING
from minitx.errors import UserError
from minitx.runs.checks import check_run


def generate(config: GenerateConfig, overrides: list[str]) -> None:
    """Print what the model writes, piece by piece."""
    check_generation(config)
    with loading(f"torch and {config.run}"):
        from minitx.decoding.generate import generate_samples

    stream(generate_samples(config), samples=config.samples)


def check_generation(config: GenerateConfig) -> None:
    """Raise UserError if the run or the prompt is missing."""
    check_run(config.run, LANGUAGE_MODELING)
    if not config.prompt:
        raise UserError('prompt="" is empty: give at least one character, as in prompt="ROMEO:"')


COMMAND = Command(
    name="generate",
    summary="Continue a prompt with a trained language model.",
    function=generate,
    schema=GenerateConfig,
    examples=(('run=runs/... prompt="ROMEO:" temperature=0.8', ""),),
    texts=("prompt",),
)
