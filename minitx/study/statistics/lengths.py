"""Lengths at which a measure of sequences is summed up."""


def doublings(longest: int) -> list[int]:
    """Return 1, 2, 4, ... up to the longest length. Each is half of the next one, rounded down."""
    lengths = []
    while longest:
        lengths.append(longest)
        longest //= 2
    return lengths[::-1]
