"""Lets a trained model write: python scripts/generate.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading, stream
from minitx.config.schema import GenerateConfig
from minitx.runs.checks import check_generation


def generate(config: GenerateConfig, overrides: list[str]) -> None:
    check_generation(config)
    with loading(f"torch and {config.run}"):
        from minitx.decoding.generate import write

    stream(write(config), samples=config.samples)


if __name__ == "__main__":
    main("generate", GenerateConfig, generate)
