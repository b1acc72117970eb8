"""Lets a trained model write the outputs of sources: python scripts/translate.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading
from minitx.config.schema import TranslateConfig
from minitx.runs.checks import check_translation


def translate(config: TranslateConfig, overrides: list[str]) -> None:
    check_translation(config)
    with loading(f"torch and {config.run}"):
        from minitx.decoding.translation import translate as translate_texts

    translate_texts(config)


if __name__ == "__main__":
    main("translate", TranslateConfig, translate)
