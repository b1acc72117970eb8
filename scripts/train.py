"""Train a model on a task: python scripts/train.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("train")
