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
    assert set(seeds.loc[seeds["arm"].isin(["transformer", "lstm"]), "learned"]) == {True}
    median = (seeds.groupby(["rung", "arm"])["tokens"].median() / 1e6).round(1)
    short, long = (median[f"2 pairs, {length} tokens of context"] for length in (16, 32))
    assert (
        f"For 32, the Transformer needed {long['transformer']} million training tokens, the LSTM "
        f"{long['lstm']} million. No seed of a GRU learned 16"
    ) in readme
    assert not seeds.loc[seeds["arm"].isin(["gru", "gru_block"]), "learned"].any()
    assert f"from {short['transformer']} million training tokens, that of the LSTM from" in results
    assert (
        f"needed {long['transformer']}, {long['lstm']} and {long['lstm_block']} million" in results
    )
    heads = pd.read_csv(ROOT / "heads_shakespeare_full/figures/axis.csv")
    *means, last = (f"{mean:.3f}" for mean in heads["bits per byte, mean"])
    assert f"reached {', '.join(means)} and {last} bits per byte" in readme
    compared = pd.read_csv(ROOT / "heads_shakespeare_full/figures/axis_comparisons.csv")
    assert set(compared["first is"]) == {"worse"}
    assert f"the largest corrected p is {compared['p, corrected'].max():.3f}" in results
    ratios = pd.read_csv(ROOT / "speed_gpu_shakespeare_full/figures/scaling_ratios.csv")
    at = ratios[ratios["arm"] == "lstm"].set_index(["data.batch_size", "model.context"])
    one, many = (at.loc[place] for place in ((1, 8192), (64, 8192)))
    assert (
        f"the LSTM took {one['ratio']:.0f} times as long per token, and with 64 such sequences "
        f"{many['ratio']:.1f} times"
    ) in readme
    passes = [at.loc[batch, 128].filter(like="forward and backward alone") for batch in (1, 64)]
    assert all(low < 1 < high for _, low, high in passes)
    assert (
        f"takes {one['ratio']:.1f} times as long per token (95% interval {one['low']:.1f} to "
        f"{one['high']:.1f}), and {many['ratio']:.1f} times ({many['low']:.1f} to "
        f"{many['high']:.1f}) with 64 sequences"
    ) in results
    ends = "{ratio:.1f} times as long with either batch ({low:.1f} to {high:.1f})"
    assert all(ends.format(**at.loc[batch, 128]) in results for batch in (1, 64))
    generation = pd.read_csv(ROOT / "speed_gpu_shakespeare_full/figures/generation_ratios.csv")
    found = generation.query("cost == 'Generation time' and arm == 'lstm'")
    ends = found["ratio"].min(), found["ratio"].max(), found["low"].min(), found["high"].max()
    low, high, least, most = (f"{end:.2f}" for end in ends)
    assert f"the LSTM takes {low} to {high} times as long as the Transformer" in results
    assert f"the 95% intervals reach from {least} to {most}" in results


def test_the_claims_about_a_cpu_quote_the_committed_tables():
    readme, results = claims()
    ratios = pd.read_csv(ROOT / "speed_shakespeare_full/figures/scaling_ratios.csv")
    axes = ["trainer.threads", "data.batch_size", "model.context"]
    fused, loop = (ratios[ratios["arm"] == arm] for arm in ("lstm", "lstm_unfused"))
    (more, less), (loop_more, loop_less) = map(_unequal, (fused, loop))
    assert f"In {len(fused)} combinations of threads" in readme
    assert f"faster in {less} and slower in {more} with oneDNN's kernel" in readme
    assert f"faster in {loop_less}, mostly with large batches, and slower in {loop_more}" in readme
    assert f"at {less} points, more at {more}, and about the same at 3" in results
    assert f"at {loop_more} points, less at {loop_less}, and about the same at 3" in results
    few, many = (loop.set_index(axes).loc[place] for place in ((2, 1, 2048), (1, 64, 512)))
    for row in (few, many):
        words = f"{row['ratio']:.1f} times as long ({row['low']:.1f} to {row['high']:.1f})"
        assert words in results
    assert few["ratio"] == loop["ratio"].max()
    assert many["ratio"] == loop["ratio"].min()
    generation = pd.read_csv(ROOT / "speed_shakespeare_full/figures/generation_ratios.csv")
    found = generation.query("cost == 'Generation time' and arm == 'lstm'")["ratio"]
    assert found.max() < 1
    assert f"the LSTM took {found.min():.2f} times as long as the Transformer" in results


def _unequal(ratios):
    """Return at how many points the time is longer and shorter, by the rule of the report."""
    shown = [not is_equal(ratio_in(row)) for row in ratios.to_dict("records")]
    return (ratios["ratio"][shown] > 1).sum(), (ratios["ratio"][shown] < 1).sum()


def test_the_claims_quote_what_a_longer_context_gains():
    figures = ROOT / "context_shakespeare_full/figures"
    table = pd.read_csv(figures / "doublings.csv").set_index(["arm", "context, tokens"])
    attention, recurrence = (table.loc[name, 128] for name in ("transformer", "lstm"))
    differences = pd.read_csv(figures / "doublings_differences.csv")
    differences = differences.set_index("doubling to, tokens")
    assert list(differences.index[differences["gains more"] == "transformer"]) == [4, 32, 128]
    assert set(differences["gains more"]) == {"transformer", "not shown"}
    row = differences.loc[128]
    gain, difference = "gain of the doubling", row["first's gain minus second's"]
    readme, results = claims()
    assert (
        f"by {attention[gain]:.4f} nats/token and that of the LSTM by {recurrence[gain]:.4f}, a "
        f"difference of {difference:.4f} (95% interval"
    ) in results
    over_seeds = f"{row['low over seeds']:.4f} to {row['high over seeds']:.4f}"
    assert f"over seeds {over_seeds}; corrected p {row['p, corrected']:.3f})" in results
    quality = pd.read_csv(figures / "quality.csv")["bits per byte, mean"]
    assert f"with {quality[0]:.3f} and {quality[1]:.3f} bits per byte, no difference" in readme
    short, long = table.loc[("lstm", 64)], table.loc[("transformer", 1024)]
    assert (
        f"LSTM is {short['loss, nats/token']:.3f} nats/token, and with 1,024 that of the "
        f"Transformer is {long['loss, nats/token']:.3f}"
    ) in results
    last = table.loc[("transformer", 256)]
    assert (
        f"from 128 to 256 by {last[gain]:.4f} nats/token (95% interval {last['gain: low']:.4f} to "
        f"{last['gain: high']:.4f})"
    ) in results


def test_the_answers_to_other_questions_quote_the_committed_tables():
    readme, _ = claims()
    mixers = pd.read_csv(ROOT / "mixer_shakespeare_full/figures/quality.csv")
    mean = mixers.set_index("arm")["bits per byte, mean"].round(3)
    lower = mean[mean < mean["attention"]].sort_values()
    assert len(lower) == 8
    first, last = (f"{lower.iloc[place]:.3f}" for place in (0, -1))
    assert list(lower.index[[0, -1]]) == ["lstm", "mamba2"]
    assert f"from {first} bits per byte for an LSTM to {last} for Mamba2" in readme
    assert f"Attention had {mean['attention']:.3f}, with learned positions" in readme
    parity, copying = map(_at_200, ("parity", "copy"))
    negative, positive = parity[["gated_deltanet_negative", "gated_deltanet"]]
    assert (
        f"got {negative:.1f}% right with negative eigenvalues and {positive:.1f}% without" in readme
    )
    learned = ["lstm", "gru", "gated_deltanet_negative", "gated_deltanet"]
    others = parity.drop([*learned, "chance level"])
    assert f"{others.min():.0f}% to {others.max():.0f}%, where chance is 50%" in readme
    attention = copying.filter(like="attention").drop("attention_alibi")
    assert (
        f"copied {copying['attention_alibi']:.1f}% of 200 letters, given the right letters before "
        f"each. With other positions or none, it copied at most {attention.max():.1f}%. Mamba2 "
        f"copied {copying['mamba2']:.1f}%, the GRU {copying['gru']:.1f}% and the LSTM "
        f"{copying['lstm']:.1f}%, where chance is 3.8%"
    ) in readme


def _at_200(task):
    """Return the percentage of right answers on sequences of 200, by arm."""
    path = ROOT / f"diagnostics_{task}_full/figures/lengths_accuracy_beyond_training.csv"
    return pd.read_csv(path).set_index("arm").iloc[:, 0].str.rstrip("%").astype(float)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_full_report_names_its_commit(name):
    results = open_study(ROOT / name)
    if results.preset == "full":
        assert "unknown" not in results.facts["commit"]
