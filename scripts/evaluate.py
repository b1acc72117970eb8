"""Measures a trained model on a whole split: python scripts/evaluate.py --help"""

from minitx.cli import main
from minitx.config import EvaluateConfig


def evaluate(config: EvaluateConfig, overrides: list[str]) -> None:
    from minitx.console import quiet_libraries, show_evaluation
    from minitx.evaluation import evaluate as evaluate_run
    from minitx.evaluation import write_evaluation

    quiet_libraries()
    run, evaluation = evaluate_run(config)
    files = write_evaluation(run, config.split, evaluation)
    show_evaluation(run, config.split, evaluation, files)


if __name__ == "__main__":
    main("evaluate", EvaluateConfig, evaluate)
