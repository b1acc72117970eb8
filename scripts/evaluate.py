"""Measures a trained model on a whole split: python scripts/evaluate.py --help"""

from minitx.cli import main
from minitx.config import EvaluateConfig


def evaluate(config: EvaluateConfig, overrides: list[str]) -> None:
    from minitx.console import show_evaluation
    from minitx.evaluation import evaluate as evaluate_run

    show_evaluation(*evaluate_run(config))


if __name__ == "__main__":
    main("evaluate", EvaluateConfig, evaluate)
