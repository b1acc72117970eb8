"""Lets a trained model write the outputs of sources: python scripts/translate.py --help"""

from minitx.checks import check_translation
from minitx.cli import main
from minitx.config import TranslateConfig
from minitx.console import loading


def translate(config: TranslateConfig, overrides: list[str]) -> None:
    check_translation(config)
    with loading(f"torch and {config.run}"):
        from minitx.translating import translate as translate_texts

    translate_texts(config)


if __name__ == "__main__":
    main("translate", TranslateConfig, translate)
