"""Show what a trained model attends to: python scripts/inspect_attention.py --help"""

from minitx.commands.inspect import main

if __name__ == "__main__":
    main()
