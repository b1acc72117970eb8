"""Write a trained model for transformers, or for torch alone: python scripts/export.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("export")
