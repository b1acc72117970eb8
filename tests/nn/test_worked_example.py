"""The example every tutorial uses, by hand: three words, four features, one head and two.

Every number below can be checked with a pocket calculator.
"""

from functools import partial

import pytest
import torch
from references import capture

from minitx.nn.attention import SelfAttention

# Numbers below are rounded to four decimals.
assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-4)

X = torch.tensor(
    [
        [1.0, 0.0, 1.0, 0.0],  # The
        [0.0, 1.0, 0.0, 1.0],  # cat
        [1.0, 1.0, 0.0, 0.0],  # sat
    ]
)
W_QUERY = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1]])
W_KEY = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 2, 0], [0, 0, 1, -1]])
W_VALUE = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 2, 0]])

# The's features 1 and 3 are on, so its query is rows 1 + 3 of W_QUERY; cat's is rows 2 + 4, and
# sat's rows 1 + 2. Keys and values likewise.
QUERIES = torch.tensor([[1.0, 1, 2, 0], [1, 1, 0, 2], [1, 1, 1, 1]])
KEYS = torch.tensor([[1.0, 1, 2, 0], [0, 0, 1, 1], [1, 1, 0, 2]])
VALUES = torch.tensor([[1.0, 0, 1, 2], [0, 1, 2, 0], [1, 1, 1, 0]])


@pytest.fixture
def attention():
    """With as many heads as asked for; the output projection changes nothing."""

    def build(heads: int) -> SelfAttention:
        module = SelfAttention(4, heads, bias=False)
        # x W, where a Linear holds the transpose of W.
        module.query.weight.data = W_QUERY.T
        module.key.weight.data = W_KEY.T
        module.value.weight.data = W_VALUE.T
        module.output.weight.data = torch.eye(4)
        return module

    return build


def test_one_head(attention):
    module = attention(heads=1)
    weights = capture(module)
    output, _ = module(X[None])

    queries, (keys, values) = module.queries(X[None]), module.keys_and_values(X[None])
    assert_close(queries[0, 0], QUERIES)
    assert_close(keys[0, 0], KEYS)
    assert_close(values[0, 0], VALUES)

    # Scaled scores, q . k / sqrt(4):
    #          The                      cat                      sat
    #   The    (1 + 1 + 4 + 0)/2 = 3    (0 + 0 + 2 + 0)/2 = 1    (1 + 1 + 0 + 0)/2 = 1
    #   cat    (1 + 1 + 0 + 0)/2 = 1    (0 + 0 + 0 + 2)/2 = 1    (1 + 1 + 0 + 4)/2 = 3
    #   sat    (1 + 1 + 2 + 0)/2 = 2    (0 + 0 + 1 + 1)/2 = 1    (1 + 1 + 0 + 2)/2 = 2
    # The logarithm of the weights gives them back, but for a constant in each row: what is left
    # is how much more than its score for "cat" a word's score is.
    over_cat = torch.tensor([[2.0, 0, 0], [0, 0, 2], [1, 0, 1]])
    logarithm = weights[0][0, 0].log()
    assert_close(logarithm - logarithm[:, 1:2], over_cat)

    # Weights, exp(score) / sum of exp(score) in the row; e = 2.7183, e^2 = 7.3891, e^3 = 20.0855:
    #   The    e^3 / (e^3 + e + e)     = 20.0855 / 25.5221 = 0.7870;    e / 25.5221 = 0.1065
    #   cat    as The, the other way round
    #   sat    e^2 / (e^2 + e + e^2)   =  7.3891 / 17.4964 = 0.4223;    e / 17.4964 = 0.1554
    by_hand = [[0.7870, 0.1065, 0.1065], [0.1065, 0.1065, 0.7870], [0.4223, 0.1554, 0.4223]]
    assert_close(weights[0][0, 0], torch.tensor(by_hand))
    assert_close(weights[0].sum(dim=-1), torch.ones(1, 1, 3))

    # Output, the values in proportion to the weights:
    #   The    0.7870 (1, 0, 1, 2) + 0.1065 (0, 1, 2, 0) + 0.1065 (1, 1, 1, 0)
    #          feature 1: 0.7870 + 0.1065     feature 2: 0.1065 + 0.1065
    #          feature 3: 0.7870 + 2 * 0.1065 + 0.1065    feature 4: 2 * 0.7870
    by_hand = [
        [0.8935, 0.2130, 1.1065, 1.5740],
        [0.8935, 0.8935, 1.1065, 0.2130],
        [0.8446, 0.5777, 1.1554, 0.8446],
    ]
    assert_close(output[0], torch.tensor(by_hand))


def test_two_heads(attention):
    module = attention(heads=2)
    weights = capture(module)
    output, _ = module(X[None])

    # Split: the first head has features 1 and 2, the second 3 and 4.
    assert_close(module.queries(X[None])[0, 0], QUERIES[:, :2])
    assert_close(module.queries(X[None])[0, 1], QUERIES[:, 2:])

    # First head: every query is (1, 1), so every row of scores is (2, 0, 2) / sqrt(2)
    #   = (1.4142, 0, 1.4142);  exp: 4.1133, 1, 4.1133, which sum to 9.2265.
    first = torch.tensor([[0.4458, 0.1084, 0.4458]]).expand(3, 3)
    # Second head: queries (2, 0), (0, 2), (1, 1); keys (2, 0), (1, 1), (0, 2).
    #   The    (4, 2, 0) / sqrt(2) = (2.8284, 1.4142, 0);  exp: 16.9188, 4.1133, 1; sum 22.0321
    #   cat    (0, 2, 4) / sqrt(2), the other way round
    #   sat    (2, 2, 2) / sqrt(2): all alike
    by_hand = [[0.7679, 0.1867, 0.0454], [0.0454, 0.1867, 0.7679], [1 / 3, 1 / 3, 1 / 3]]
    second = torch.tensor(by_hand)
    assert_close(weights[0][0], torch.stack([first, second]))

    # Joined: on the left the first head's values (1, 0), (0, 1), (1, 1) in proportion to its
    # weights, (0.4458 + 0.4458, 0.1084 + 0.4458); on the right the second head's values (1, 2),
    # (2, 0), (1, 0), for The (0.7679 + 2 * 0.1867 + 0.0454, 2 * 0.7679).
    by_hand = [
        [0.8916, 0.5542, 1.1867, 1.5358],
        [0.8916, 0.5542, 1.1867, 0.0908],
        [0.8916, 0.5542, 1.3333, 0.6667],
    ]
    assert_close(output[0], torch.tensor(by_hand))
