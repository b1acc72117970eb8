"""Let a trained model write the outputs of sources: python scripts/translate.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("translate")
