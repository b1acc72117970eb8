"""Lets a trained model tell the class of texts: python scripts/predict.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading
from minitx.config.schema import PredictConfig
from minitx.runs.checks import check_prediction


def predict(config: PredictConfig, overrides: list[str]) -> None:
    check_prediction(config)
    with loading(f"torch and {config.run}"):
        from minitx.commands.predict import predict as predict_texts

    predict_texts(config)


if __name__ == "__main__":
    main("predict", PredictConfig, predict)
