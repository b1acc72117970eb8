"""Test the key/value cache: it equals torch.cat, works in place, and any state can be continued."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.nn.attention import SelfAttention
from minitx.nn.cache import KeyValues
from minitx.nn.tree import reorder

BATCH, HEADS, DIM = 2, 3, 4
few_examples = settings(deadline=None, max_examples=30)


def piece(length):
    """Return keys and values of `length` positions."""
    return torch.randn(BATCH, HEADS, length, DIM), torch.randn(BATCH, HEADS, length, DIM)


def assert_holds(state, keys, values):
    assert torch.equal(state.keys, torch.cat(keys, dim=-2))
    assert torch.equal(state.values, torch.cat(values, dim=-2))


@few_examples
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), min_size=1, max_size=12),
)
def test_continuing_a_state_changes_no_other_state(steps):
    with torch.inference_mode():
        k, v = piece(2)
        made = [(KeyValues(k, v), [k], [v])]
        for which, length in steps:
            state, keys, values = made[which % len(made)]
            k, v = piece(length)
            made.append((state.extended(k, v), [*keys, k], [*values, v]))
        for state, keys, values in made:
            assert_holds(state, keys, values)


@torch.inference_mode()
def test_a_long_text_is_moved_a_few_times_only():
    state = KeyValues(*piece(1))
    places = set()
    for _ in range(255):
        state = state.extended(*piece(1))
        places.add((state.keys.data_ptr(), state.values.data_ptr()))
    assert state.keys.size(-2) == 256
    assert len(places) <= 8  # of 2, 6, 14, 30, 62, 126 and 254 positions, and one more


@torch.inference_mode()
def test_rows_that_were_moved_are_states_of_their_own():
    state = KeyValues(*piece(2)).extended(*piece(1)).extended(*piece(1))
    rows = torch.tensor([1, 1, 0])
    moved = reorder(state, rows)
    assert torch.equal(moved.keys, state.keys[rows])
    k, v = (part[rows] for part in piece(1))
    assert_holds(moved.extended(k, v), [state.keys[rows], k], [state.values[rows], v])
    after = state.extended(*piece(1))
    assert_holds(moved, [after.keys[rows, :, :-1]], [after.values[rows, :, :-1]])


def test_what_inference_mode_began_can_be_continued_without_it():
    with torch.inference_mode():
        state = KeyValues(*piece(1)).extended(*piece(1)).extended(*piece(1))  # with room for more
    with torch.no_grad():
        k, v = piece(1)
        assert_holds(state.extended(k, v), [state.keys, k], [state.values, v])


def test_gradients_go_back_through_the_states():
    attention, x = SelfAttention(8, 2, causal=True), torch.randn(2, 6, 8, requires_grad=True)
    whole, _ = attention(x)
    outputs, state = [], None
    for part in x.split(2, dim=1):
        y, state = attention(part, state=state)
        outputs.append(y)
    weights = torch.randn_like(whole)
    (expected,) = torch.autograd.grad((whole * weights).sum(), x)
    (found,) = torch.autograd.grad((torch.cat(outputs, dim=1) * weights).sum(), x)
    torch.testing.assert_close(found, expected)
