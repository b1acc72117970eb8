"""Test the section about what each doubling of the context gains."""

import numpy as np
import pandas as pd
import pytest
from made_results import made

from minitx.drawing.figures import png
from minitx.study.report import comparison
from minitx.study.report.comparison import pairs_of
from minitx.study.report.gains import gain_differences
from minitx.study.report.sections import SECTIONS
from minitx.study.report.style import intervals_of
from minitx.study.results.conditions import conditions_of
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
        {"context": context, "cluster": cluster, "nats": loss * hard * size, "targets": size}
        for context, loss in zip(CONTEXTS, losses, strict=True)
        for cluster, (hard, size) in enumerate(zip(hardness, sizes, strict=True))
    )


def attention_gains(arm, point, seed):
    """All doublings help the Transformer, and the first two the LSTM."""
    noise = 0.001 * (seed - 2.5)
    gains = {
        "transformer": (0.8 + noise, 0.4 - noise, 0.2 + noise, 0.1 + noise),
        "lstm": (0.8 + noise, 0.4 + noise, -noise, 0.01 + noise / 2),
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
        loss = part["nats"].sum() / part["targets"].sum()
        assert losses.loc[3, context] == pytest.approx(loss)
    assert list(found["transformer"].gains) == [2, 4, 8, 16]
    gain = found["transformer"].gains[8].loc[3]
    assert gain == pytest.approx(losses.loc[3, 4] - losses.loc[3, 8])


def test_the_sentences_say_up_to_which_context_a_doubling_helps():
    section = section_of()
    *_, attention, recurrence = section.sentences
    assert attention.startswith(
        "Each doubling of the context up to 16 tokens lowers the loss of transformer: the doubling "
        "to 16 tokens lowers it by 0.1002"
    )
    assert recurrence.startswith(
        "Each doubling of the context up to 4 tokens lowers the loss of lstm: the doubling to 4 "
    )
    assert recurrence.endswith("). For the next doubling, no effect is shown.")
    assert (
        section.finding
        == "each lowers the loss of transformer up to 16 tokens and of lstm up to 4 tokens"
    )
    assert section.answers == len(section.sentences)
    assert png(section.figure)


@pytest.mark.parametrize(
    ("may", "gains", "runs"), [(True, "gains", ""), (False, "gained", " in these runs")]
)
def test_the_verdicts_name_the_doublings_from_which_each_gains_more(may, gains, runs, monkeypatch):
    monkeypatch.setattr("minitx.study.report.sections.doublings.may_claim", lambda results: may)
    section = section_of()
    more, unknown = section.sentences[:2]
    assert more.startswith(
        f"transformer {gains} more than lstm from the doublings of the context to 8 and 16 "
        f"tokens{runs}: from the last of these by 0.0902 nats/token (95% interval over test items "
    )
    table = section.more["differences"]
    least = table["p, corrected"].iloc[:2].min()
    assert unknown == (
        "No difference between transformer and lstm is shown in what the doublings of the context "
        f"to 2 and 4 tokens gain (corrected p at least {least:.3f})."
    )
    leader = "transformer" if may else "transformer, in these runs"
    assert list(table["gains more"]) == ["not shown", "not shown", leader, leader]


def differences_of(results):
    return gain_differences(measured_doublings(results), pairs_of(conditions_of(results)))


def test_the_difference_has_intervals_over_items_and_over_seeds():
    results = made(LEVELS, seeds=FOUR, details=attention_gains, sections=("doublings",))
    found = differences_of(results)
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
    assert (table["p, corrected"] >= [each.p for each in found]).all()


def test_the_figure_has_each_difference_with_its_interval():
    section = section_of()
    *_, differences = section.figure.axes
    table = section.more["differences"]
    drawn = [line for line in differences.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in drawn] == list(table["doubling to, tokens"])
    assert [line.get_ydata()[0] for line in drawn] == list(table["first's gain minus second's"])
    for line, low, high in zip(
        drawn, table["low over seeds"], table["high over seeds"], strict=True
    ):
        drawn_interval = intervals_of(line, 0).get("y", (np.nan, np.nan))
        assert drawn_interval == pytest.approx((low, high), nan_ok=True)
    assert len(section_of(levels={"lstm": 2.0}).figure.axes) == 2  # one model has no difference


def test_a_gain_that_is_not_shown_to_differ_is_not_called_larger():
    def alike(arm, point, seed):
        noise = 0.01 * (seed - 2.5) * (1 if arm == "lstm" else -1)
        return {"doublings": rows((0.8, 0.4, 0.2, noise + (0.101 if arm == "lstm" else 0.1)))}

    (verdict, *_) = section_of(alike).sentences
    assert verdict.startswith(
        "No difference between transformer and lstm is shown in what the doublings of the context "
        "to 2, 4, 8 and 16 tokens gain"
    )


def test_few_seeds_have_no_interval_over_seeds():
    section = section_of(seeds=(1, 2))
    assert png(section.figure)
    difference, *_, attention, _ = section.sentences
    assert "in these runs: " in difference
    assert "over 2 shared seeds, too few for an interval; corrected p over test items" in difference
    assert attention.startswith(
        "The doubling to 16 tokens lowers the loss of transformer by 0.0992"
    )
    assert "(2 seeds, too few for an interval)" in attention


def test_a_claim_needs_an_interval_over_seeds_for_each_of_its_doublings(monkeypatch):
    monkeypatch.setattr("minitx.study.report.sections.doublings.may_claim", lambda results: True)

    def alike_at_8(arm, point, seed):
        noise = 0.001 * (seed - 2.5)
        last = (0.2, 0.1 + noise) if arm == "transformer" else (0.1, 0.01)
        return {"doublings": rows((0.8, 0.4, *last))}

    verdict = section_of(alike_at_8).sentences[0]
    assert verdict.startswith("transformer gained more than lstm from the doublings of the context")
    assert "to 8 and 16 tokens in these runs: " in verdict


def test_gains_below_the_precision_of_the_losses_are_none():
    def tiny(arm, point, seed):
        last = 1e-8 * (1 + 0.1 * seed) * (2 if arm == "lstm" else 1)
        return {"doublings": rows((0.8 + 0.001 * seed, 0.4, 0.2, last))}

    section = section_of(tiny)
    assert not any("to 16 tokens lowers" in sentence for sentence in section.sentences)
    assert set(section.more["differences"]["gains more"]) == {"not shown"}
    last = section.table[section.table["context, tokens"] == 16]
    assert list(last["gain of the doubling"]) == [0, 0]


def test_a_doubling_that_raises_the_loss_is_said_to():
    def harmful(arm, point, seed):
        noise = 0.001 * (seed - 2.5)
        return {"doublings": rows((0.8 + noise, 0.4 - noise, 0.2 + noise, -0.1 + noise))}

    attention = section_of(harmful).sentences[-2]
    assert ", and the doubling to 16 tokens raises it by 0.1002 nats/token (95%" in attention


def test_other_targets_are_not_compared():
    def other(arm, point, seed):
        if arm == "lstm":
            return {"doublings": rows((0.1, 0.1, 0.1, 0.1), sizes=(10, 20, 30, 40) * 6)}
        return attention_gains(arm, point, seed)

    assert len(section_of(other).sentences) == 2
    assert not section_of(other).more
    assert "over the same tokens for each context" in section_of(other).note
    assert "over the same 2,400 tokens for each context" in section_of().note


def test_a_seed_with_other_targets_is_not_compared_either():
    def other(arm, point, seed):
        if seed == 2:
            return {"doublings": rows((0.1, 0.1, 0.1, 0.1), sizes=(10, 20, 30))}
        return attention_gains(arm, point, seed)

    assert not section_of(other).more


def test_arms_are_compared_at_the_same_point_of_a_grid():
    def either(*point):
        return 2.1

    sections = ("quality", "doublings")
    grid = {"data.batch_size": [4, 8]}
    arms = {"transformer": either, "lstm": either}
    results = made(arms, grid=grid, seeds=FOUR, details=attention_gains, sections=sections)
    pairs = {(each.first, each.second) for each in differences_of(results)}
    assert pairs == {
        ("transformer with 4 sequences", "lstm with 4 sequences"),
        ("transformer with 8 sequences", "lstm with 8 sequences"),
    }


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
