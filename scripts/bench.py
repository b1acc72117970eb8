"""Print how fast minitx is: python scripts/bench.py --help"""

from minitx.commands.start import main

if __name__ == "__main__":
    main("bench")
