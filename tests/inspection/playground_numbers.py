"""What the page of `minitx explain` shows in a browser."""

import re
from functools import partial

import torch

assert_close = partial(torch.testing.assert_close, atol=1e-6, rtol=1e-6, check_dtype=False)


def numbers(opened, name):
    """The numbers of a table at full precision, float64."""
    rows = opened.evaluate(
        """(name) => [...document.querySelectorAll(`[data-name=${name}] tbody tr`)].map((row) =>
             [...row.querySelectorAll("[data-value]")].map(({ dataset }) => Number(dataset.value)))
        """,
        name,
    )
    return torch.tensor(rows, dtype=torch.float64)


def texts(opened, name, part="tbody th"):
    return opened.locator(f"[data-name={name}] {part}").all_inner_texts()


def card(opened, title):
    return opened.locator(".card").filter(has=opened.get_by_role("heading", name=title))


def variances(opened):
    """The variances of the products of queries and keys, before and after the division."""
    said = card(opened, "2. Scores").locator(".measured").inner_text()
    found = re.search(r"have variance ([\d.,]+)\. .* have variance ([\d.,]+), ", said)
    return [float(number.replace(",", "")) for number in found.groups()]
