"""Lets a trained model write the outputs of sources: python scripts/translate.py --help"""

from minitx.cli import main
from minitx.config import TranslateConfig


def translate(config: TranslateConfig, overrides: list[str]) -> None:
    from minitx.translating import translate as translate_texts

    translate_texts(config)


if __name__ == "__main__":
    main("translate", TranslateConfig, translate)
