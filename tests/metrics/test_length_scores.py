"""Test exact match and accuracy by length against a plain loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minitx.data.batching.windows import IGNORE
from minitx.metrics.length_scores import LengthScores

CHANCES = {3: 0.5, 7: 0.25, 9: 0.1}


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from([3, 7, None]), st.integers(1, 5)), min_size=1, max_size=5)
)
def test_counts_are_those_of_a_loop(batches):
    metric, sequences = LengthScores(CHANCES), []
    for length, size in batches:
        width = length or 5
        targets = torch.randint(-1, 3, (size, width))
        targets[targets < 0] = IGNORE
        targets[0, 0] = 1
        # Mostly right, so that whole sequences are.
        logits = torch.nn.functional.one_hot(targets.clamp(min=0), 3) + 0.6 * torch.rand(
            size, width, 3
        ).round(decimals=1)
        logits[-1, -1] = torch.tensor([0.0, 0.0, 9.0])
        metric.update(logits, targets, length)
        for row, wanted in zip(logits.argmax(dim=-1).tolist(), targets.tolist(), strict=True):
            answers = [a == t for a, t in zip(row, wanted, strict=True) if t != IGNORE]
            if answers:
                sequences.append((length, answers))
    found = metric.compute()
    assert found["exact_match"] == pytest.approx(
        sum(all(answers) for _, answers in sequences) / len(sequences)
    )
    for length, chance in CHANCES.items():
        own = [answers for each, answers in sequences if each == length]
        if not own:
            assert f"exact_match_at_{length}" not in found
            continue
        assert found[f"exact_match_at_{length}"] == pytest.approx(sum(map(all, own)) / len(own))
        right = [answer for answers in own for answer in answers]
        assert found[f"accuracy_at_{length}"] == pytest.approx(sum(right) / len(right))
        assert found[f"chance_at_{length}"] == chance


def test_a_sequence_without_an_answer_counts_neither_as_right_nor_as_wrong():
    metric = LengthScores(CHANCES)
    logits, targets = torch.zeros(2, 3, 2), torch.full((2, 3), IGNORE)
    targets[1, 2] = 0
    metric.update(logits, targets, 3)
    assert metric.compute()["exact_match"] == metric.compute()["exact_match_at_3"] == 1.0
