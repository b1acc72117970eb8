"""Measures a trained model on a whole split: python scripts/evaluate.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading, quiet_libraries, show_evaluation
from minitx.config.schema import EvaluateConfig
from minitx.runs.checks import check_evaluation


def evaluate(config: EvaluateConfig, overrides: list[str]) -> None:
    check_evaluation(config)
    with loading(f"torch and {config.run}"):
        from minitx.tasks.evaluation import evaluate as evaluate_run
        from minitx.tasks.evaluation import write_evaluation

    quiet_libraries()
    run, evaluation = evaluate_run(config)
    files = write_evaluation(run, config.split, evaluation)
    show_evaluation(run, config.split, evaluation, files)


if __name__ == "__main__":
    main("evaluate", EvaluateConfig, evaluate)
