"""Compare counts of seeds, such as those that learn a task."""

from scipy import stats


def more_often(hits: tuple[int, int], tries: tuple[int, int]) -> float:
    """Return the p-value of the hypothesis that both kinds of tries succeed equally often.

    The test is exact and two-sided, and has more power than Fisher's with few tries.

    Source: Boschloo 1970, "Raised conditional level of significance for the 2x2-table when testing
    the equality of two probabilities".
    """
    failures = [total - hit for hit, total in zip(hits, tries, strict=True)]
    return float(stats.boschloo_exact([list(hits), failures]).pvalue)
