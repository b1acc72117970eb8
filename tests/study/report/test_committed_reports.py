"""Test that every committed report follows from its evidence, on the machine of the test.

A report that differs is written again from its evidence by
`minitx compare study=NAME task=TASK report_only=true study.dir=docs/studies/FOLDER`.
"""

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from minitx.study.plan.manifest import EVIDENCE
from minitx.study.report.files import write_report
from minitx.study.report.ratios import is_equal, ratio_in
from minitx.study.results.collecting import open_study

ROOT = Path(__file__).parents[3] / "docs" / "studies"

FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir())
MOST_BYTES = 2_000_000  # of evidence, so that a clone stays small
MACHINE_PATHS = ("/home/", "/work/", "/root/", "/Users/", "/tmp/")


@pytest.mark.parametrize("name", FOLDERS)
def test_every_table_is_computed_again(name, tmp_path, briefly):
    folder = ROOT / name
    assert (folder / EVIDENCE).stat().st_size <= MOST_BYTES
    write_report(open_study(folder), tmp_path)
    tables = {path.relative_to(folder) for path in folder.rglob("*.csv")}
    assert tables == {path.relative_to(tmp_path) for path in tmp_path.rglob("*.csv")}
    for table in tables:
        committed, again = (pd.read_csv(place / table) for place in (folder, tmp_path))
        if table.name == "runs.csv":  # names the folders of the runs from that of the report
            committed, again = (each.drop(columns="folder") for each in (committed, again))
        assert_frame_equal(again, committed, rtol=1e-9, atol=1e-12, obj=str(table))
    texts = [(place / "report.md").read_text(encoding="utf-8") for place in (tmp_path, folder)]
    assert texts[0].splitlines() == texts[1].splitlines()
    assert not [path for path in MACHINE_PATHS if path in texts[1]]


def claims():
    """Return the text of README.md and of docs/results.md, without line breaks."""
    files = (ROOT.parents[1] / name for name in ("README.md", "docs/results.md"))
    return [" ".join(file.read_text(encoding="utf-8").split()) for file in files]


def test_the_claims_quote_the_committed_tables():
    readme, results = claims()
    seeds = pd.read_csv(ROOT / "distance_recall_full/figures/success_seeds.csv")
    median = (seeds.groupby("arm")["tokens"].median() / 1e6).round(1)
    assert (
        f"The median is {median['transformer']} million training tokens for the Transformer, which "
        f"has ALiBi positions, and {median['lstm']} million for the LSTM. No seed of a GRU with "
        f"two layers learns it within {median['gru']} million,"
    ) in readme
    heads = pd.read_csv(ROOT / "heads_shakespeare_full/figures/axis.csv")
    *means, last = (f"{mean:.3f}" for mean in heads["bits per byte, mean"])
    assert f"reach {', '.join(means)} and {last} bits per byte on test" in readme
    compared = pd.read_csv(ROOT / "heads_shakespeare_full/figures/axis_comparisons.csv")
    assert set(compared["first is"]) == {"worse"}
    assert f"corrected p at most {compared['p, corrected'].max():.3f}" in readme
    ratios = pd.read_csv(ROOT / "speed_gpu_shakespeare_full/figures/scaling_ratios.csv")
    at = ratios[ratios["arm"] == "lstm"].set_index(["data.batch_size", "model.context"])
    one, many, short = (at.loc[place] for place in ((1, 8192), (64, 8192), (64, 128)))
    assert (
        f"takes {one['ratio']:.0f} times as long per token (95% interval {one['low']:.0f} to "
        f"{one['high']:.0f}), and with 64 such sequences {_words(many)}. At 128 tokens, a step of "
        f"the LSTM takes {short['ratio']:.1f} times as long ({short['low']:.1f} to "
        f"{short['high']:.1f}). Without clipping and the optimizer, both take equally long"
    ) in readme
    passes = [at.loc[batch, 128].filter(like="forward and backward alone") for batch in (1, 64)]
    assert all(low < 1 < high for _, low, high in passes)
    assert (
        f"takes {one['ratio']:.1f} times as long per token (95% interval {one['low']:.1f} to "
        f"{one['high']:.1f}), and {_words(many)} with 64 sequences"
    ) in results
    ends = "{ratio:.1f} times as long with either batch ({low:.1f} to {high:.1f})"
    assert all(ends.format(**at.loc[batch, 128]) in results for batch in (1, 64))
    generation = pd.read_csv(ROOT / "speed_gpu_shakespeare_full/figures/generation_ratios.csv")
    found = generation.query("cost == 'Generation time' and arm == 'lstm'")
    ends = found["ratio"].min(), found["ratio"].max(), found["low"].min(), found["high"].max()
    low, high, least, most = (f"{end:.2f}" for end in ends)
    assert (
        f"the LSTM generated a token in {low} to {high} times the time of the Transformer on the "
        "GPU"
    ) in readme
    assert f"the LSTM takes {low} to {high} times as long as the Transformer" in results
    assert f"the 95% intervals reach from {least} to {most}" in results


def test_the_claims_about_a_cpu_quote_the_committed_tables():
    readme, results = claims()
    ratios = pd.read_csv(ROOT / "speed_shakespeare_full/figures/scaling_ratios.csv")
    axes = ["trainer.threads", "data.batch_size", "model.context"]
    fused, loop = (ratios[ratios["arm"] == arm] for arm in ("lstm", "lstm_unfused"))
    (more, less), (loop_more, loop_less) = map(_unequal, (fused, loop))
    assert f"the LSTM was faster at {less} of {len(fused)} points" in readme
    assert f"slower at {loop_more} points and faster at {loop_less}" in readme
    assert f"at {less} points, more at {more}, and about the same at 3" in results
    assert f"at {loop_more} points, less at {loop_less}, and about the same at 3" in results
    long = fused.set_index(axes).loc[1, 1, 8192]
    assert f"{long['ratio']:.2f} times as long ({long['low']:.2f} to {long['high']:.2f})" in readme
    few, many = (loop.set_index(axes).loc[place] for place in ((2, 1, 2048), (1, 64, 512)))
    for row in (few, many):
        words = f"{row['ratio']:.1f} times as long ({row['low']:.1f} to {row['high']:.1f})"
        assert words in readme
        assert words in results
    assert few["ratio"] == loop["ratio"].max()
    assert many["ratio"] == loop["ratio"].min()
    generation = pd.read_csv(ROOT / "speed_shakespeare_full/figures/generation_ratios.csv")
    found = generation.query("cost == 'Generation time' and arm == 'lstm'")["ratio"]
    assert f"in {found.min():.2f} to {found.max():.2f} times on the CPU" in readme


def _unequal(ratios):
    """Return at how many points the time is longer and shorter, by the rule of the report."""
    shown = [not is_equal(ratio_in(row)) for row in ratios.to_dict("records")]
    return (ratios["ratio"][shown] > 1).sum(), (ratios["ratio"][shown] < 1).sum()


def _words(row):
    return f"{row['ratio']:.1f} times ({row['low']:.1f} to {row['high']:.1f})"


def test_the_claims_quote_what_a_longer_context_gains():
    figures = ROOT / "context_shakespeare_full/figures"
    table = pd.read_csv(figures / "doublings.csv").set_index(["arm", "context, tokens"])
    attention, recurrence = (table.loc[name, 128] for name in ("transformer", "lstm"))
    differences = pd.read_csv(figures / "doublings_differences.csv")
    differences = differences.set_index("doubling to, tokens")
    assert list(differences.index[differences["gains more"] == "transformer"]) == [4, 32, 128]
    assert set(differences["gains more"]) == {"transformer", "not shown"}
    row = differences.loc[128]
    over_seeds = f"{row['low over seeds']:.4f} to {row['high over seeds']:.4f}"
    difference = row["first's gain minus second's"]
    gain = "gain of the doubling"
    readme, results = claims()
    assert (
        f"The doubling to 128 lowers the loss by {attention[gain]:.4f} nats per character for the "
        f"Transformer, which has rotary positions, and by {recurrence[gain]:.4f} for the LSTM "
        f"(difference {difference:.4f}, 95% interval over seeds {over_seeds}, corrected p "
        f"{row['p, corrected']:.3f})."
    ) in readme
    assert f"over seeds {over_seeds}; corrected p {row['p, corrected']:.3f})" in results
    quality = pd.read_csv(figures / "quality.csv")["bits per byte, mean"]
    assert f"{quality[0]:.3f} and {quality[1]:.3f} bits per byte (corrected p 0.354)" in readme
    assert f"{table.loc[('lstm', 64), 'loss, nats/token']:.3f} nats, and with 1,024" in readme
    last = table.loc[("transformer", 256)]
    assert (
        f"from 128 to 256 by {last[gain]:.4f} nats/token (95% interval {last['gain: low']:.4f} to "
        f"{last['gain: high']:.4f})"
    ) in results


@pytest.mark.parametrize("name", FOLDERS)
def test_a_full_report_names_its_commit(name):
    results = open_study(ROOT / name)
    if results.preset == "full":
        assert "unknown" not in results.facts["commit"]
