"""Test the definition of a study: presets, points, overrides, every file of conf/study."""

import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

from minitx.config.compose import compose, register_schemas, to_typed
from minitx.config.keys import CONF, options
from minitx.config.schema import MIXERS, CompareConfig
from minitx.config.tasks import SEQUENCE_TO_SEQUENCE, TASKS
from minitx.errors import UserError
from minitx.models.budget import fit_width, sizes_of
from minitx.study.measure.measuring import DETAILS
from minitx.study.plan.definition import (
    combinations,
    common_overrides,
    defined,
    points,
    refuse_hidden,
    rungs,
    seeds,
    sweep_seed,
    task_of,
)
from minitx.study.plan.manifest import read_manifest
from minitx.study.plan.planner import Planner
from minitx.study.plan.run_store import run_key
from minitx.study.report.sections import SECTIONS, details_of
from minitx.study.run.checks import check_comparison
from minitx.tasks.open import open_task


def asked(*words):
    """Return the config and the study of `minitx compare` with these overrides."""
    return deepcopy(once(*words))


@cache
def once(*words):
    """Compose a config that many tests ask for."""
    register_schemas()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return to_typed(hydra.compose("compare", list(words)), CompareConfig)


@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("name", options("study"))
def test_every_study_is_defined_and_its_overrides_compose(name, preset):
    task = asked_tasks(name)[0]
    config = asked(f"study={name}", f"task={task}", f"preset={preset}")
    study = defined(config)
    assert study.name == name
    assert study.dir == str(Path.cwd() / f"studies/{name}_{task}_{preset}")
    assert study.question.endswith("?")
    assert set(study.sections) <= set(SECTIONS)
    assert set(details_of(study.sections)) <= set(DETAILS)
    for arm in study.arms:
        values = combinations(study.grid)[-1] | combinations(study.sweep)[-1]
        words = [f"{key}={value}" for key, value in values.items()]
        compose(f"task={task}", *study.arms[arm], *study.settings, *words)
    # A rate is chosen on val, with a seed that does not count.
    assert sweep_seed(config) not in seeds(config)
    if preset == "full" and study.measures == "training":
        assert len(seeds(config)) >= 3
        assert len(combinations(study.sweep)) >= 2


def test_a_preset_replaces_the_values_of_the_study():
    config = asked("study=distance", "task=recall")
    full = defined(asked("study=distance", "task=recall", "preset=full"))
    quick = defined(config)
    assert quick.grid == config.study.quick.grid != full.grid
    assert quick.sweep == config.study.quick.sweep != full.sweep == config.study.sweep
    # Later words win, so the preset's stand behind the study's, and what was typed behind both.
    assert defined(config, ["model.dim=8"]).settings == [
        *config.study.settings,
        *config.study.quick.settings,
        "model.dim=8",
    ]


@pytest.mark.parametrize("task", ["cmudict", "multi30k", "shakespeare", "trec"])
def test_sequence_to_sequence_has_its_own_recurrent_baselines(task):
    arms = defined(asked("study=architectures", f"task={task}")).arms
    pairs = TASKS[task].objective == SEQUENCE_TO_SEQUENCE
    words = [word for words in arms.values() for word in words]
    found = {word for word in words if word.startswith("model.attention=")}
    assert found == (
        {"model.attention=additive", "model.attention=dot", "model.attention=none"}
        if pairs
        else set()
    )


def test_a_point_is_an_arm_at_one_choice_of_every_axis():
    study = defined(asked("study=distance", "task=recall", "preset=full"))
    found = points(study)
    assert len(found) == len(study.arms) * len(study.grid["model.context"])
    assert found[0].label == "transformer, model.context=16"
    assert combinations({}) == [{}]


def test_the_seed_of_a_sweep_is_not_one_of_the_results():
    def seed(*seeds):
        return sweep_seed(asked("study=heads", f"study.quick.seeds={list(seeds)}"))

    assert seed(1, 2, 3) == seed(5) == 0
    assert seed(0, 1) == 2
    assert seed(2, 0) == 1


def test_overrides_for_all_runs_are_those_that_the_study_does_not_set():
    words = ["study=heads", "task=trec", "data.dir=x", "preset=full", "study.dir=y", "only=z"]
    more = ["logger=none", "model.dim=64", "+experiment=plain", "optimizer=adamw"]
    assert common_overrides([*words, *more]) == [
        *("data.dir=x", "model.dim=64", "+experiment=plain", "optimizer=adamw")
    ]
    # Which task it is, is said anyway; what a task has of its own is for its runs.
    assert common_overrides(["task=recall", "task.pairs=4"]) == ["task.pairs=4"]
    for word in ("model=lstm", "seed=1", "run.dir=x", "resume=x", "budget.parameters=5"):
        with pytest.raises(UserError, match=word.split("=")[0]):
            common_overrides([word])


def test_a_run_is_named_by_what_its_figures_depend_on():
    config, other = compose("model.dim=32"), compose("model.dim=64")
    key = run_key(config, "corpus", "training")
    assert key != run_key(other, "corpus", "training")
    assert key != run_key(config, "another corpus", "training")
    assert key != run_key(config, "corpus", "speed")
    moved = compose("model.dim=32", "data.dir=elsewhere", "logger=csv", "run.dir=x")
    assert key == run_key(moved, "corpus", "training")
    for word in ("seed=2", "trainer.max_steps=7", "optimizer.lr=0.1", "data.train_fraction=0.5"):
        assert key != run_key(compose("model.dim=32", word), "corpus", "training")


# These defaults have changed since the old study.
DEFAULTS_THEN = (
    *("trainer.val_tokens=null", "optimizer.momentum=0.95"),
    *("optimizer.schedule=cosine", "optimizer.min_lr_ratio=0.1"),
)


def test_a_renamed_key_leaves_a_run_its_name():
    """The runs of an old study, whose keys were made from the old names."""
    study = Path(__file__).parents[2] / "old_runs" / "study"
    for run in read_manifest(study).runs:
        summary = json.loads((study / "store" / run.key / "summary.json").read_text("utf-8"))
        config = compose(*run.words, *DEFAULTS_THEN)
        assert run_key(config, summary["data_fingerprint"], "training") == run.key


def test_old_names_in_a_study_become_the_new_ones():
    config = asked("study=mixer")
    config.study.quick.sweep = {"optimizer.muon_lr": [0.1]}
    config.study.grid = {"data.train_fraction": [0.5, 1.0]}
    config.study.settings = ["optimizer.final_lr=0"]
    study = defined(config)
    assert study.sweep == {"optimizer.muon_lr": [0.1]}
    assert study.grid == {"data.train_fraction": [0.5, 1.0]}
    assert study.settings[0] == "optimizer.min_lr_ratio=0"


def test_a_corpus_without_a_test_split_compares_nothing():
    data = Path(__file__).parents[4] / "shared" / "data"
    if not (data / "tiny_shakespeare" / "input.txt").is_file():
        pytest.skip(f"tiny_shakespeare is not in {data}")
    words = ["study=mixer", "task=tiny_shakespeare", "study.tasks=[]", f"data.dir={data}"]
    config = asked(*words)
    with pytest.raises(UserError, match="tiny_shakespeare has no test split"):
        Planner(config.task, defined(config, common_overrides(words))).check()


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("grid", {"budget.parameters": [1000, 2000]}, r"has budget\.parameters: use study\.para"),
        ("grid", {"seed": [1, 2]}, "grid has seed: the preset sets several"),
        ("sweep", {"task": ["genre"]}, "sweep has task: a study has one task"),
        ("settings", ["run.dir=here"], r"settings has run\.dir=here"),
        ("arms", {"one": ["model=lstm", "seed=3"]}, r"arms\.one has seed=3"),
    ],
)
def test_keys_that_the_study_sets_are_refused_for_its_runs(where, value, said):
    config = asked("study=mixer")
    config.study.quick.sweep = {}
    setattr(config.study, where, value)
    with pytest.raises(UserError, match=said):
        defined(config)


def test_what_the_preset_would_hide_is_refused():
    config = asked("study=distance", "task=recall")
    with pytest.raises(UserError, match="preset=quick uses its own grid") as refused:
        refuse_hidden(config, ["++study.grid={model.context: [96]}"])
    advised = str(refused.value).rpartition(": ++")[2]
    again = asked("study=distance", "task=recall", f"++{advised}")
    assert defined(again).grid == {"model.context": [96]}
    full = asked("study=distance", "task=recall", "preset=full")
    refuse_hidden(full, ["++study.grid={model.context: [96]}", "++study.quick.grid={}"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.devices=2"], r"trainer\.devices=2: a study's run is one process"),
        (["optimizer=adamw"], r"optimizer=adamw has no muon_lr"),
        (["trainer.max_steps=null"], "has no limit"),
    ],
)
def test_what_no_run_could_do_is_refused_before_the_first(words, said):
    config = asked("study=distance", "task=recall", "++study.quick.settings=[]")
    study = defined(config, [*words, "trainer.accelerator=cpu"])
    study.sweep = {"optimizer.muon_lr": [0.01, 0.02]}
    with pytest.raises(UserError, match=said):
        Planner(config.task, study).check()


def asked_tasks(name):
    return asked(f"study={name}").study.tasks


@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("name", [n for n in options("study") if "speed" not in n])
def test_a_study_sweeps_the_rate_of_the_selected_optimizer(name, preset):
    task = next(each for each in ("genre", "text", "recall", "parity") if each in asked_tasks(name))
    muon, adamw = (
        defined(
            asked(f"study={name}", f"task={task}", f"preset={preset}", f"optimizer={optimizer}")
        )
        for optimizer in ("muon", "adamw")
    )
    assert "optimizer.muon_lr" in muon.sweep
    assert set(adamw.sweep) == {"optimizer.lr"}
    assert len(combinations(adamw.sweep)) >= (2 if preset == "full" else 1)


def test_a_sweep_that_adamw_would_hide_is_refused():
    words = ["++study.quick.sweep={optimizer.lr: [0.1]}"]
    refuse_hidden(asked("study=heads", *words), words)
    config = asked("study=heads", "optimizer=adamw", *words)
    with pytest.raises(UserError, match="optimizer=adamw the study uses its own sweep") as refused:
        refuse_hidden(config, words)
    advised = str(refused.value).rpartition(": ++")[2]
    again = asked("study=heads", "optimizer=adamw", f"++{advised}")
    assert defined(again).sweep == {"optimizer.lr": [0.1]}


def test_the_mixer_study_compares_every_mixer():
    arms = defined(asked("study=mixer")).arms
    assert arms == {name: ["model=transformer", f"model.mixer={name}"] for name in MIXERS}


def test_arms_of_the_mixer_study_can_be_changed_and_added():
    words = ['study.arms.lstm=["model=lstm"]', '+study.arms.block=["model=gru"]']
    arms = defined(asked("study=mixer", *words)).arms
    assert arms["lstm"] == ["model=lstm"]
    assert list(arms) == [*MIXERS, "block"]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["study=distance", "task=recall"], ["gru", "lstm_block"]),
        (["study=mixer"], ["lstm", "attention"]),  # arms that are computed
        (["study=architectures"], ["gru"]),
        (["study=architectures", "task=cmudict"], ["lstm_dot"]),  # arms of sequence to sequence
    ],
)
def test_arms_can_be_left_out(words, left):
    overrides = [*words, *(f"~study.arms.{arm}" for arm in left)]
    arms = defined(asked(*words), overrides).arms
    assert list(arms) == [arm for arm in defined(asked(*words)).arms if arm not in left]
    with pytest.raises(UserError, match=r"~study\.arms\.rnm: the study has no arm rnm: "):
        defined(asked(*words), [*words, "~study.arms.rnm"])


def test_the_tasks_of_a_grid_count_unless_a_task_is_given():
    words = ["study=anatomy", "preset=full", "++study.grid={task:[cmudict,multi30k]}"]
    study = defined(asked(*words), [*words, "~study.arms.deep"])
    assert study.grid["task"] == ["cmudict", "multi30k"]
    assert "deep" not in study.arms
    one = defined(asked(*words, "task=cmudict"), [*words, "task=cmudict"])
    assert "task" not in one.grid


def test_an_option_that_an_arm_cannot_have_is_refused():
    config = asked("study=mixer", "model.heads=2")
    with pytest.raises(UserError, match=r"model\.heads=2: model\.mixer=lstm has no option heads"):
        Planner(config.task, defined(config, ["model.heads=2"])).check()


def test_a_value_that_no_model_can_have_is_not_tried():
    config = asked("study=distance", "task=recall", "trainer.accelerator=cpu")
    planner = Planner(config.task, defined(config, ["trainer.accelerator=cpu"]))
    point = planner.points[0]
    assert planner.can_train(point, {"optimizer.lr": 0.2})
    for impossible in ({"model.dropout": 1.6}, {"model.heads": 7}):
        for _ in range(2):
            assert not planner.can_train(point, impossible)


def test_arms_have_the_same_size_with_and_without_embeddings():
    words = ["model.dim=56", "model.layers=2", "trainer.accelerator=cpu"]
    config = asked("study=mixer", *words)
    planner = Planner(config.task, defined(config, words))
    build = open_task(config).vocabulary.build
    sizes, asked_for = {}, set()
    for point in planner.points:
        run = compose(*planner.run(point, planner.choices[0], 1).words)
        budget = run.budget
        fitted = fit_width(run.model, build, budget.parameters, budget.non_embedding)
        sizes[point.arm] = sizes_of(fitted, build)
        asked_for |= {point.arm} if budget.non_embedding is not None else set()
    for found in sizes.values():
        assert found == pytest.approx(sizes["attention"], rel=0.02)
    # With equal totals alone, an LSTM has too few embeddings. The keys of other runs do not change.
    assert asked_for == {"lstm"}


def test_points_with_too_many_tokens_in_a_step_are_left_out():
    study = defined(asked("study=speed", "preset=full"))
    steps = {point.at["data.batch_size"] * point.at["model.context"] for point in points(study)}
    assert max(steps) == study.most_tokens == 32_768
    assert {
        (point.at["data.batch_size"], point.at["model.context"]) for point in points(study)
    } == {
        *((1, length) for length in (128, 512, 2048, 8192)),
        *((8, length) for length in (128, 512, 2048)),
        *((64, length) for length in (128, 512)),
    }


def test_a_grid_without_a_point_that_is_small_enough_is_refused():
    with pytest.raises(UserError, match=r"study\.most_tokens=2: a step has more tokens at every"):
        defined(asked("study=speed", "++study.most_tokens=2"))


def test_a_ladder_has_a_rung_for_each_value_that_is_small_enough():
    grid = "++study.full.grid={model.context: [64, 16, 32]}"
    config = asked("study=distance", "task=recall", "preset=full", grid, "++study.most_tokens=32")
    study = defined(config, [grid])
    found = [[(point.arm, point.at["model.context"]) for point in rung] for rung in rungs(study)]
    assert found == [[(arm, context) for arm in study.arms] for context in (16, 32)]
    study.ladder = False
    assert rungs(study) == [points(study)]


def test_a_ladder_of_speeds_is_refused():
    with pytest.raises(UserError, match=r"study\.ladder: a study of speed has no goal"):
        defined(asked("study=speed", "++study.ladder=true", "++study.grid={}"))


def test_a_step_of_unknown_size_is_kept():
    grid = "++study.quick.grid={data.batch_size: [null, 8]}"
    study = defined(asked("study=heads", grid, "++study.most_tokens=4"), [grid])
    assert {point.at["data.batch_size"] for point in points(study)} == {None}


class TestSeveralTasks:
    """A study with tasks in its grid does all of them, or the one that was asked for."""

    def test_without_a_task_those_of_the_grid_are_done(self):
        config = asked("study=diagnostics", "preset=full")
        study = defined(config)
        assert study.grid == {"task": ["parity", "copy"]}
        assert len(study.tasks) == 7
        assert study.dir == str(Path.cwd() / "studies/diagnostics_full")
        assert task_of(config, study).name == "parity"
        assert {point.at["task"] for point in points(study)} == {"parity", "copy"}

    def test_a_chosen_task_is_the_only_one(self):
        config = asked("study=diagnostics", "task=copy", "preset=full")
        study = defined(config)
        assert study.grid == {}
        assert study.dir == str(Path.cwd() / "studies/diagnostics_copy_full")
        assert task_of(config, study).name == "copy"

    def test_each_run_is_composed_with_its_task(self):
        config = asked("study=diagnostics", "++study.quick.grid={task: [copy, parity]}")
        study = defined(config)
        planner = Planner(task_of(config, study), study)
        words = {point.label: planner.run(point, {}, 1).words for point in planner.points[:2]}
        for task, found in zip(("copy", "parity"), words.values(), strict=True):
            assert [word for word in found if word.startswith("task=")] == [f"task={task}"]
            assert compose(*found).task.name == task

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["task=genre"], "does not suit task=genre"),
            (["++study.quick.grid={task: [copi]}"], "there is no task copi"),
            (
                ["++study.quick.task_settings={copy: ['trainer.max_steps=3']}"],
                "with several tasks in the grid",
            ),
        ],
    )
    def test_what_it_does_not_suit_is_refused(self, words, expected):
        with pytest.raises(UserError, match=expected):
            defined(asked("study=diagnostics", *words))

    def test_the_default_task_is_refused_if_it_was_asked_for(self):
        config = asked("study=diagnostics", "task=shakespeare")
        words = ["study=diagnostics", "task=shakespeare"]
        for function in (defined, check_comparison):
            with pytest.raises(UserError, match="does not suit task=shakespeare; it suits parity"):
                function(config, words)

    @pytest.mark.parametrize(
        ("study", "tasks", "expected"),
        [
            ("heads", "[recall, shakespeare]", "study=heads does not suit task=recall"),
            ("heads", "[genre, shakespeare]", "headline measures: genre by accuracy, shakespeare"),
            ("distance", "[recall, genre]", "success does not suit task=genre"),
        ],
    )
    def test_every_task_of_a_grid_is_checked(self, study, tasks, expected):
        words = [f"++study.quick.grid={{task: {tasks}}}"]
        words += ["study.tasks=[]", "study.ladder=false"] if study == "distance" else []
        with pytest.raises(UserError, match=re.escape(expected)):
            check_comparison(asked(f"study={study}", *words), words)

    def test_the_default_task_counts_if_it_was_asked_for(self):
        words = ["++study.quick.grid={task: [genre, trec]}", "study.tasks=[]"]
        config = asked("study=heads", *words)
        assert defined(config, words).grid == {"task": ["genre", "trec"]}
        study = defined(asked("study=heads", *words, "task=shakespeare"), ["task=shakespeare"])
        assert study.grid == {}
        assert study.dir == str(Path.cwd() / "studies/heads_shakespeare_quick")
