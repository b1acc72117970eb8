"""Show one head of attention step by step, with its numbers: python scripts/explain.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("explain")
