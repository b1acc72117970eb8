"""Lets a trained model tell the class of texts: python scripts/predict.py --help"""

from minitx.cli import main
from minitx.config import PredictConfig


def predict(config: PredictConfig, overrides: list[str]) -> None:
    from minitx.predicting import predict as predict_texts

    predict_texts(config)


if __name__ == "__main__":
    main("predict", PredictConfig, predict)
