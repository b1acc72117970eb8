"""Print how fast minitx is: python scripts/bench.py --help"""

from minitx.commands.bench import main

if __name__ == "__main__":
    main()
