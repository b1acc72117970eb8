"""Measures a trained model on a whole split: python scripts/evaluate.py --help"""

from minitx.checks import check_evaluation
from minitx.cli import main
from minitx.config import EvaluateConfig
from minitx.console import loading, quiet_libraries, show_evaluation


def evaluate(config: EvaluateConfig, overrides: list[str]) -> None:
    check_evaluation(config)
    with loading(f"torch and {config.run}"):
        from minitx.evaluation import evaluate as evaluate_run
        from minitx.evaluation import write_evaluation

    quiet_libraries()
    run, evaluation = evaluate_run(config)
    files = write_evaluation(run, config.split, evaluation)
    show_evaluation(run, config.split, evaluation, files)


if __name__ == "__main__":
    main("evaluate", EvaluateConfig, evaluate)
