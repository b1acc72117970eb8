"""Measure a trained model without each of its heads: python scripts/head_importance.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("importance")
