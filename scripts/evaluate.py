"""Measure a trained model on a whole split: python scripts/evaluate.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("evaluate")
