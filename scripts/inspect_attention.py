"""Show what a trained model attends to: python scripts/inspect_attention.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("inspect")
