"""Let a trained model write."""

from minitx.commands.cli import main as run_command
from minitx.commands.console import loading, stream
from minitx.config.schema import GenerateConfig
from minitx.config.tasks import LANGUAGE_MODELING
from minitx.errors import UserError
from minitx.runs.checks import check_run


def main() -> None:
    """Run scripts/generate.py with the command line of this process."""
    run_command("generate", GenerateConfig, generate)


def generate(config: GenerateConfig, overrides: list[str]) -> None:
    """Print what the model writes, as it comes."""
    check_generation(config)
    with loading(f"torch and {config.run}"):
        from minitx.decoding.generate import write

    stream(write(config), samples=config.samples)


def check_generation(config: GenerateConfig) -> None:
    """Refuses to write without a run or a prompt. Raises UserError."""
    check_run(config.run, LANGUAGE_MODELING)
    if not config.prompt:
        raise UserError('prompt="" is empty: give at least one character, as in prompt="ROMEO:"')
