"""Lets a trained model tell the class of texts: python scripts/predict.py --help"""

from minitx.checks import check_prediction
from minitx.cli import main
from minitx.config import PredictConfig
from minitx.console import loading


def predict(config: PredictConfig, overrides: list[str]) -> None:
    check_prediction(config)
    with loading(f"torch and {config.run}"):
        from minitx.predicting import predict as predict_texts

    predict_texts(config)


if __name__ == "__main__":
    main("predict", PredictConfig, predict)
