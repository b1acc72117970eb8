"""Measure a trained model on a whole split: python scripts/evaluate.py --help"""

from minitx.commands.evaluate import main

if __name__ == "__main__":
    main()
