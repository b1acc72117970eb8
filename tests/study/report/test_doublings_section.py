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


def rows(gains, sizes=(100, 200, 300, 250, 150)):
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


def test_the_sentences_say_up_to_which_context_a_doubling_helps(monkeypatch):
    monkeypatch.setattr("minitx.study.report.sections.doublings.may_claim", lambda results: True)
    section = section_of()
    difference, attention, recurrence = section.sentences
    assert difference.startswith(
        "transformer gains more than lstm from the doubling to 16 tokens: "
    )
    assert attention.startswith(
        "Each doubling of the context up to 16 tokens lowers the loss of transformer: the doubling "
        "to 16 tokens lowers it by 0.10"
    )
    assert recurrence.startswith(
        "Each doubling of the context up to 4 tokens lowers the loss of lstm: the doubling to 4 "
    )
    assert ", and the doubling to 8 tokens " in recurrence
    assert recurrence.endswith("so no effect is shown).")
    assert section.answers == 3
    assert png(section.figure)
    monkeypatch.setattr("minitx.study.report.sections.doublings.may_claim", lambda results: False)
    assert (
        section_of()
        .sentences[0]
        .startswith(
            "transformer gained more than lstm from the doubling to 16 tokens in these runs: "
        )
    )


def test_the_difference_has_intervals_over_items_and_over_seeds():
    results = made(LEVELS, seeds=FOUR, details=attention_gains, sections=("doublings",))
    ((*earlier, last),) = gain_differences(measured_doublings(results))
    gains = {name: each.gains[16] for name, each in measured_doublings(results).items()}
    difference = gains["transformer"] - gains["lstm"]
    assert last.seeds.value == pytest.approx(difference.mean())
    assert last.items.value == pytest.approx(difference.mean())  # each seed has the same tokens
    for interval in (last.seeds, last.items):
        assert interval.low < interval.value < interval.high
    assert last.p == max(last.seeds.p, last.items.p)
    assert [each.context for each in earlier] == [2, 4, 8]
    table = SECTIONS["doublings"](results).more["differences"]
    assert list(table["p, corrected"].notna()) == [False, False, False, True]


def test_a_gain_that_is_not_shown_to_differ_is_not_called_larger():
    def alike(arm, point, seed):
        noise = 0.01 * (seed - 2.5) * (1 if arm == "lstm" else -1)
        return {"doublings": rows((0.8, 0.4, 0.2, noise + (0.101 if arm == "lstm" else 0.1)))}

    assert (
        section_of(alike)
        .sentences[0]
        .startswith(
            "No difference between lstm and transformer is shown in what the doubling to 16 tokens "
            "gains: the gain of lstm is larger by 0.0010"
        )
    )


def test_few_seeds_have_no_interval_over_seeds():
    difference, attention, _ = section_of(seeds=(1, 2)).sentences
    assert "in these runs: " in difference
    assert "over 2 shared seeds, too few for an interval" in difference
    assert attention.startswith(
        "The doubling to 16 tokens lowers the loss of transformer by 0.1005 "
    )
    assert "(2 seeds, too few for an interval)" in attention


def test_other_targets_are_not_compared():
    def other(arm, point, seed):
        if arm == "lstm":
            return {"doublings": rows((0.1, 0.1, 0.1, 0.1), sizes=(10, 20, 30, 40))}
        return attention_gains(arm, point, seed)

    assert len(section_of(other).sentences) == 2
    assert not section_of(other).more
    assert "1,000 tokens and 100" not in section_of(other).note


def test_the_gain_of_a_context_is_a_claim_of_the_report_too():
    sections = ("quality", "doublings")
    both = made(LEVELS, seeds=FOUR, sections=sections, details=attention_gains)
    assert comparison.number_of_tests(both) == 2
    without = made(LEVELS, seeds=FOUR, sections=sections)
    assert comparison.number_of_tests(without) == 1


def test_a_context_of_one_token_has_no_doubling():
    def single(arm, point, seed):
        table = rows((0.1, 0.1, 0.1, 0.1))
        return {"doublings": table[table["context"] == 1]}

    assert section_of(single) is None
    assert section_of(lambda *of: {}) is None
