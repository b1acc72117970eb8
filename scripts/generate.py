"""Lets a trained model write: python scripts/generate.py --help"""

from minitx.checks import check_generation
from minitx.cli import main
from minitx.config import GenerateConfig
from minitx.console import loading, stream


def generate(config: GenerateConfig, overrides: list[str]) -> None:
    check_generation(config)
    with loading(f"torch and {config.run}"):
        from minitx.writing import write

    stream(write(config), samples=config.samples)


if __name__ == "__main__":
    main("generate", GenerateConfig, generate)
