"""Let a trained model write: python scripts/generate.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("generate")
