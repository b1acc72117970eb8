"""Let a trained model name the class of texts: python scripts/predict.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("predict")
