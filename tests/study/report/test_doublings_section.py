"""Test the section about what each doubling of the context gains."""

import numpy as np
import pandas as pd
import pytest
from made_results import made

from minitx.drawing.figures import png
from minitx.study.report import comparison
from minitx.study.report.gains import gain_differences
from minitx.study.report.sections import SECTIONS
from minitx.study.results.doublings import measured_doublings

CONTEXTS = (1, 2, 4, 8, 16)
LEVELS, FOUR = {"transformer": 2.2, "lstm": 2.1}, (1, 2, 3, 4)


def rows(gains, sizes=(40, 80, 120, 100, 60) * 6):
    """Return the table of a run whose loss falls from 3 nats by these gains.

    Some clusters are harder than others, and gain more.
    """
    losses = 3 - np.cumsum([0, *gains])
    hardness = np.linspace(0.8, 1.2, len(sizes))
    return pd.DataFrame(
        {"context": context, "cluster": cluster, "nats": loss * hard * size, "tokens": size}
        for context, loss in zip(CONTEXTS, losses, strict=True)
        for cluster, (hard, size) in enumerate(zip(hardness, sizes, strict=True))
    )


def attention_gains(arm, point, seed):
    """All doublings help the Transformer, and the first two the LSTM."""
    noise = 0.001 * (seed - 2.5)
    gains = {
        "transformer": (0.8 + noise, 0.4 - noise, 0.2 + noise, 0.1 + noise),
        "lstm": (0.8 + noise, 0.4 + noise, noise, 0.01 + noise / 2),
    }[arm]
    return {"doublings": rows(gains)}


def section_of(details=attention_gains, levels=LEVELS, seeds=FOUR):
    results = made(levels, seeds=seeds, details=details, sections=("doublings",))
    return SECTIONS["doublings"](results)


def test_losses_and_gains_are_those_of_all_tokens():
    found = measured_doublings(made(LEVELS, seeds=FOUR, details=attention_gains))
    losses = found["transformer"].losses
    table = attention_gains("transformer", (), 3)["doublings"]
    for context in CONTEXTS:
        part = table[table["context"] == context]
        loss = part["nats"].sum() / part["tokens"].sum()
        assert losses.loc[3, context] == pytest.approx(loss)
    assert list(found["transformer"].gains) == [2, 4, 8, 16]
    gain = found["transformer"].gains[8].loc[3]
    assert gain == pytest.approx(losses.loc[3, 4] - losses.loc[3, 8])


def test_the_sentences_say_up_to_which_context_a_doubling_helps():
    section = section_of()
    attention, recurrence, *_ = section.sentences
    assert attention.startswith(
        "Each doubling of the context up to 16 tokens lowers the loss of transformer: the doubling "
        "to 16 tokens lowers it by 0.10"
    )
    assert recurrence.startswith(
        "Each doubling of the context up to 4 tokens lowers the loss of lstm: the doubling to 4 "
    )
    assert ", and the doubling to 8 tokens " in recurrence
    assert recurrence.endswith("so no effect is shown).")
    assert section.answers == len(section.sentences)
    assert png(section.figure)


@pytest.mark.parametrize(
    ("may", "words"), [(True, ("gains", "")), (False, ("gained", " in these runs"))]
)
def test_the_verdicts_name_the_doublings_from_which_each_gains_more(may, words, monkeypatch):
    monkeypatch.setattr("minitx.study.report.sections.doublings.may_claim", lambda results: may)
    gains, runs = words
    more, unknown = section_of().sentences[2:]
    assert more.startswith(
        f"transformer {gains} more than lstm from the doublings of the context to 8 and 16 "
        f"tokens{runs}: from the last of these by 0.09"
    )
    assert unknown.startswith(
        "No difference between transformer and lstm is shown in what the doublings of the context "
        "to 2 and 4 tokens gain: from the last of these, gains differ by 0.0"
    )
    assert "corrected p" in unknown


def test_the_difference_has_intervals_over_items_and_over_seeds():
    results = made(LEVELS, seeds=FOUR, details=attention_gains, sections=("doublings",))
    found = gain_differences(measured_doublings(results))
    assert [each.context for each in found] == [2, 4, 8, 16]
    last = found[-1]
    gains = {name: each.gains[16] for name, each in measured_doublings(results).items()}
    difference = gains["transformer"] - gains["lstm"]
    assert last.seeds.value == pytest.approx(difference.mean())
    assert last.items.value == pytest.approx(difference.mean())  # each seed has the same tokens
    for interval in (last.seeds, last.items):
        assert interval.low < interval.value < interval.high
    assert last.p == max(last.seeds.p, last.items.p)
    table = SECTIONS["doublings"](results).more["differences"]
    assert list(table["gains more"]) == ["not shown", "not shown", "transformer", "transformer"]
    assert (table["p, corrected"] >= [each.p for each in found]).all()


def test_few_seeds_have_no_interval_over_seeds():
    attention, _, difference, *_ = section_of(seeds=(1, 2)).sentences
    assert "in these runs: " in difference
    assert "over 2 shared seeds, too few for an interval" in difference
    assert attention.startswith(
        "The doubling to 16 tokens lowers the loss of transformer by 0.0992"
    )
    assert "(2 seeds, too few for an interval)" in attention


def test_other_targets_are_not_compared():
    def other(arm, point, seed):
        if arm == "lstm":
            return {"doublings": rows((0.1, 0.1, 0.1, 0.1), sizes=(10, 20, 30, 40) * 6)}
        return attention_gains(arm, point, seed)

    assert len(section_of(other).sentences) == 2
    assert not section_of(other).more
    assert "over the same 2,400 tokens for each context" in section_of().note


def test_the_gain_of_a_context_is_a_claim_of_the_report_too():
    sections = ("quality", "doublings")
    both = made(LEVELS, seeds=FOUR, sections=sections, details=attention_gains)
    assert comparison.number_of_tests(both) == 1 + 4
    without = made(LEVELS, seeds=FOUR, sections=sections)
    assert comparison.number_of_tests(without) == 1


def test_a_context_of_one_token_has_no_doubling():
    def single(arm, point, seed):
        table = rows((0.1, 0.1, 0.1, 0.1))
        return {"doublings": table[table["context"] == 1]}

    assert section_of(single) is None
    assert section_of(lambda *of: {}) is None
