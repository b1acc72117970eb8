"""Test that seeds depend only on the position in a run."""

import torch
import torch.nn.functional as F

from minitx.data.random_streams import derived_seed, seed_step


def test_seeds_of_neighbours_differ():
    grid = [(seed, batch, rank) for seed in range(20) for batch in range(100) for rank in range(8)]
    seeds = {derived_seed(*parts) for parts in grid}
    assert len(seeds) == len(grid)
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_order_matters():
    assert derived_seed(1, 2, 3) != derived_seed(3, 2, 1)


def test_seeds_are_spread_over_all_bits():
    seeds = [derived_seed(1, batch, 0) for batch in range(1000)]
    for bit in range(64):
        assert 400 < sum(seed >> bit & 1 for seed in seeds) < 600


def test_a_step_draws_the_same_dropout_whatever_came_before():
    x = torch.ones(1000)
    seed_step(1, 7, 0)
    first = F.dropout(x)
    torch.rand(12)
    seed_step(1, 7, 0)
    assert torch.equal(F.dropout(x), first)
    for other in [(2, 7, 0), (1, 8, 0), (1, 7, 1)]:
        seed_step(*other)
        assert not torch.equal(F.dropout(x), first)
