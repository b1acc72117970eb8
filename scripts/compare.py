"""Answer a question with a grid of runs: python scripts/compare.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("compare")
