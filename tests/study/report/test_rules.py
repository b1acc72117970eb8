"""Test the rules of a fair comparison: which are kept, and which raise an error."""

import shlex
from dataclasses import replace

import pytest
from fair_results import ARMS, broken, changed, fair, rules
from made_results import failing

from minitx.errors import UserError
from minitx.study.report.report import compose
from minitx.study.report.rules import check_rules, may_claim
from minitx.study.report.rules.machine import kernels
from minitx.study.results.settings import describe_settings


def test_a_fair_study_keeps_them_all():
    assert broken(fair()) == []


def test_both_numbers_of_parameters_are_given():
    found = rules(changed(fair(), "lstm", parameters_non_embedding=779_000))
    words = found["equal numbers of parameters, within 2%"].words
    assert "transformer 809,080 and lstm 802,080" in words
    words = found["equal numbers of parameters without embeddings, within 2%"].words
    assert words == (
        "Without embeddings, numbers of parameters are within 0.1% of those of transformer: "
        "transformer 780,000 and lstm 779,000."
    )


@pytest.mark.parametrize(("size", "kept"), [(825_000, True), (826_000, False)])
def test_sizes_differ_by_two_percent_at_most(size, kept):
    found = rules(changed(fair(ARMS), "lstm", parameters=size))[
        "equal numbers of parameters, within 2%"
    ]
    assert found.kept is kept


@pytest.mark.parametrize(("size", "kept"), [(795_000, True), (796_000, False), (764_000, False)])
def test_sizes_without_embeddings_are_a_rule_of_their_own(size, kept):
    results = changed(fair(), "lstm", parameters_non_embedding=size)
    name = "equal numbers of parameters without embeddings, within 2%"
    assert broken(results) == ([] if kept else [name])


def test_different_corpora_are_refused_in_one_line():
    results = changed(fair(ARMS), "lstm", data_fingerprint="other")
    with pytest.raises(UserError, match="different corpora or tokenizers") as refused:
        check_rules(results)
    assert "\n" not in str(refused.value)
    assert "transformer" in str(refused.value)


def test_corpora_may_differ_along_an_axis_of_the_data():
    results = fair(
        {"a": lambda s: 2.0, "b": lambda s: 2.1}, grid={"data.train_fraction": [0.1, 1.0]}
    )
    results.runs["data_fingerprint"] = results.runs["data.train_fraction"].astype(str)
    assert broken(results) == []
    with pytest.raises(UserError):
        check_rules(changed(results, "b", data_fingerprint="other"))


def test_runs_without_figures_have_no_corpus_to_differ():
    results = failing(fair(ARMS), "lstm", [1, 2, 3])
    check_rules(changed(results, "lstm", data_fingerprint=None))


def test_tokens_are_as_many_for_the_same_seed():
    results = fair(ARMS)
    results.runs["tokens_seen"] += results.runs["seed"]  # from seed to seed they may differ
    assert broken(results) == []
    fewer = changed(fair(ARMS), "lstm", tokens_seen=1000)
    assert broken(fewer) == ["equal numbers of tokens"]
    assert "1,000 (lstm)" in rules(fewer)["equal numbers of tokens"].words
    early = changed(fewer, "lstm", ended_by="goal")  # it has learned what was asked for
    assert broken(early) == []
    words = rules(early)["equal numbers of tokens"].words
    assert words == (
        "Runs that did not stop at the goal have seen equal numbers with the same seed: 384,000. "
        "4 runs stopped at the goal, after fewer."
    )


@pytest.mark.parametrize(
    ("cpu", "threads", "kept", "said"),
    [
        (0.97, 1, True, "a core for 97% of the time"),
        (0.6, 1, False, "4 runs of lstm got less CPU time than a core has, in one case 60%"),
        (1.9, 2, True, "With several threads"),
        (0.8, 2, False, "in one case 80%"),
    ],
)
def test_a_shared_machine_is_seen_by_its_cpu_time(cpu, threads, kept, said):
    results = fair()
    name = "the machine was not shared"
    assert name not in rules(results)  # older runs have no CPU time
    results = changed(results, "transformer", cpu_seconds=results.runs["train_seconds"])
    results = changed(results, "lstm", cpu_seconds=cpu * results.runs["train_seconds"])
    results.runs["threads"] = threads
    assert broken(results) == ([] if kept else [name])
    assert said in rules(results)[name].words
    assert may_claim(results)  # a busy machine does not change what is learned
    results.study.measures = "speed"
    assert may_claim(results) is kept


@pytest.mark.parametrize(("share", "kept"), [(0.46, True), (0.44, False)])
def test_a_shared_machine_is_seen_in_a_study_of_speed(share, kept):
    results = fair()
    results.study.measures = "speed"
    results.runs["cpu_share"], results.runs["threads"] = share, 2
    del results.runs["train_seconds"]
    assert broken(results) == ([] if kept else ["the machine was not shared"])
    gpu = replace(results, facts=results.facts | {"GPU": "a GPU"})  # the process waits for it
    assert broken(gpu) == ["the machine was not shared"]
    words = rules(gpu)["the machine was not shared"].words
    assert "not known whether other work shared the GPU or its host" in words


def test_the_quick_preset_claims_nothing():
    assert may_claim(fair())
    quick = fair(preset="quick")
    assert not may_claim(quick)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["++study.full.grid={model.context: [16]}"], "set study.full.grid={model.context: [16]}"),
        (["model.dim=64", "study.full.seeds=[1,2,3,4]"], "set model.dim=64 and study.full.seeds"),
        (["~study.arms.gru"], "left out study.arms.gru"),
        (["trainer.max_steps=9", "~study.arms.gru"], "max_steps=9 and left out study.arms.gru"),
        (["experiment=plain"], "set experiment=plain"),
    ],
)
def test_a_preset_that_the_command_line_changes_is_not_that_preset(changes, said):
    results = replace(fair(), command=shlex.join(["minitx", "compare", "preset=full", *changes]))
    assert broken(results) == ["the full preset"]
    assert said in rules(results)["the full preset"].words
    assert not may_claim(results)


def test_overrides_of_the_study_and_its_folder_change_no_preset():
    chosen = ["study=mine", "task=text", "preset=full", "optimizer=adamw"]
    places = ["data.path=a=b.txt", "study.dir=x", "study.runs=y", "logger=none", "logger.mode=z"]
    launched = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "data.workers=2"]
    words = ["minitx", "compare", "--config-dir", "files", *chosen, *places, *launched]
    assert broken(replace(fair(), command=shlex.join(words))) == []


def test_a_value_of_the_sweep_may_fail():
    results = fair()
    wild = results.runs["swept"] & (results.runs["optimizer.muon_lr"] == 0.02)
    lost = {"status": "failed", "reason": "the loss is not finite", "val/loss": None}
    results.runs.loc[wild, list(lost)] = list(lost.values())
    assert broken(results) == []
    words = rules(results)["no missing runs"].words
    assert words.startswith("All runs that count finished. In the sweep, 2 of 14 planned runs")
    results.runs.loc[wild, "status"] = "missing"
    assert broken(results) == ["no missing runs"]


def test_operations_and_kernels_are_facts():
    transformer = {"model.name": "transformer", "model.mixer": ["attention", "lstm"]}
    lstm = {"model.name": "lstm", "model.cell": "lstm"}
    results = replace(
        changed(fair(), "lstm", operations_per_token=2e6),
        settings={"transformer": transformer, "lstm": lstm},
    )
    how = compose(results).how
    assert how["operations per token"] == (
        "transformer 1,600,000 and lstm 2,000,000 (within a factor of 1.25)"
    )
    assert how["kernels"] == (
        "transformer: scaled_dot_product_attention; transformer and lstm: nn.LSTM, fused on a CPU "
        "(by oneDNN) and on a GPU"
    )
    lstm["trainer.fused"] = False
    assert "; lstm: nn.LSTM, a loop over time" in compose(results).how["kernels"]
    assert how["seeds"] == "1, 2, 3 and 4"
    assert how["seed of the sweep"] == "0"


def test_a_finished_study_without_an_answer_says_so():
    finished = fair(ARMS, sections=("curves", "cost"))
    assert compose(finished).answer[0] == "No section of this report answers the question."
    lacking = failing(fair(ARMS, sections=("curves",)), "lstm", [1, 2, 3, 4])
    assert compose(lacking).answer[0] == "Too few runs have finished to answer the question."


def test_a_study_of_speed_names_the_kernels_of_its_arms():
    results = fair({"slow": 2.0, "hybrid": 2.1})
    results.study.arms["slow"] = ["model=lstm", "trainer.fused=False"]
    results.study.arms["hybrid"] = ["model=transformer", "model.mixer=[attention,lstm]"]
    assert kernels(replace(results, settings={})) == (
        "slow: nn.LSTM, a loop over time; hybrid: scaled_dot_product_attention; hybrid: nn.LSTM, "
        "fused on a CPU (by oneDNN) and on a GPU"
    )


def test_seeds_failures_and_the_quick_preset_are_reported():
    results = failing(fair(ARMS, preset="quick"), "lstm", [2], "the loss is not a number")
    assert broken(results) == [
        "4 seeds or more",
        "no missing runs",
        "the full preset",
    ]
    words = rules(results)["no missing runs"].words
    assert "1 run of lstm failed (the loss is not a number)" in words


def test_recipes_that_differ_in_more_than_the_model_are_named():
    settings = {
        "transformer": {"model.dropout": 0.1, "optimizer.ema": 0.99, "model.heads": 4},
        "lstm": {"model.dropout": 0.1, "model.layers": 2, "optimizer.muon_lr": 0.01},
    }
    results = replace(fair(ARMS), settings=settings)
    found = rules(results)["the same training for all"]
    assert not found.kept
    assert found.words == (
        "Apart from the model and the sweep, the recipes differ: optimizer.ema is 0.99 for "
        "transformer and null for lstm."
    )
    assert describe_settings(results) == {
        "of all arms": "model.dropout=0.1",
        "of transformer": "optimizer.ema=0.99 model.heads=4",
        "of lstm": "model.layers=2",
    }


def test_what_the_arms_define_is_not_a_difference():
    results = fair(ARMS)
    results.study.arms["lstm"].append("model.dropout=0.5")
    settings = {"transformer": {"model.dropout": 0.0}, "lstm": {"model.dropout": 0.5}}
    assert broken(replace(results, settings=settings)) == []


def test_runs_of_older_code_are_reported():
    results = replace(fair(ARMS), facts={"cores": "2", "commit": "aaaaaa; bbbbbb"})
    assert broken(results) == ["the same code"]
    assert "commit (aaaaaa; bbbbbb)" in rules(results)["the same code"].words
    other = replace(fair(), facts={"cores": "2; 4", "commit": "aaaaaa"})
    assert broken(other) == ["the same machine"]
    one = replace(fair(), facts={"processor": "Family 25, AuthenticAMD", "commit": "aaaaaa"})
    assert broken(one) == []  # of a processor with a comma in its name
    assert may_claim(other)
    assert not may_claim(results)


@pytest.mark.parametrize(
    ("measuring", "kept", "words"),
    [
        ("aaaaaa", True, "All runs used the same code."),
        ("bbbbbb", True, "All runs were trained with the same code, and measured with later code."),
        ("aaaaaa; bbbbbb", False, "The runs differ in: commit of the measurements (aaaaaa; "),
        ("unknown", False, "The code of the runs was not committed: commit unknown."),
    ],
)
def test_the_code_of_the_measurements_counts_too(measuring, kept, words):
    facts = {"commit": "aaaaaa", "commit of the measurements": measuring}
    rule = rules(replace(fair(ARMS), facts=facts))["the same code"]
    assert rule.kept is kept
    assert rule.words.startswith(words)


@pytest.mark.parametrize("commit", ["unknown", "aaaaaa with uncommitted changes"])
def test_code_that_was_not_committed_is_reported(commit):
    results = replace(fair(ARMS), facts={"commit": commit})
    assert broken(results) == ["the same code"]
    assert f"was not committed: commit {commit}." in rules(results)["the same code"].words
    assert not may_claim(results)


def test_sizes_that_are_not_matched_are_compared_over_the_grid():
    results = fair({"a": lambda h: 2.0}, grid={"model.heads": [1, 2]})
    results.study.match = False
    assert broken(results) == []
    results.runs.loc[results.runs["model.heads"] == 2, "parameters"] = 823_000
    assert broken(results) == ["equal numbers of parameters, within 2%"]
