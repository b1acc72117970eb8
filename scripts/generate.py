"""Lets a trained model write: python scripts/generate.py --help"""

from minitx.cli import main
from minitx.config import GenerateConfig


def generate(config: GenerateConfig, overrides: list[str]) -> None:
    from minitx.console import stream
    from minitx.writing import write

    stream(write(config), samples=config.samples)


if __name__ == "__main__":
    main("generate", GenerateConfig, generate)
