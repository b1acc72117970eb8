"""Test configs as dataclasses, plain values and YAML, and which keys a resumed run may change."""

import dataclasses
import os
import typing
from types import NoneType

import pytest
from hydra.core.config_store import ConfigStore
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitx.config import yaml_files
from minitx.config.compose import (
    compose,
    from_plain,
    read_config,
    register_schemas,
    resumed,
    to_plain,
)
from minitx.config.schema import MODELS, Config, ModelConfig, RecurrentConfig, TransformerConfig
from minitx.errors import UserError
from minitx.runs.atomic_write import write_yaml

few_examples = settings(deadline=None, max_examples=15)

# "???" is OmegaConf's word for a missing value, which no config can hold; PyYAML writes U+0085 as
# it is and reads it as a line break.
TEXT = (st.text() | st.text("\\${}:'\"# \nab")).filter(lambda t: t != "???" and "\x85" not in t)


def numbers(kind, rules):
    if kind is int:
        return st.integers(rules.get("minimum"), rules.get("maximum", 10**9))
    low, high = rules.get("minimum", rules.get("above")), rules.get("below", rules.get("maximum"))
    low = -1e37 if low is None else low
    high = 1e37 if high is None else high
    return st.floats(low, high, exclude_min="above" in rules, exclude_max="below" in rules)


def values(field):
    """All that a key may be set to."""
    if "choices" in field.metadata:
        return st.sampled_from(field.metadata["choices"])
    simple = {NoneType: st.none(), bool: st.booleans(), str: TEXT}
    kinds = typing.get_args(field.type) or (field.type,)
    if typing.get_origin(field.type) is list:
        return st.lists(simple[kinds[0]], max_size=3)
    simple[list[int]] = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)
    return st.one_of(
        *(simple[kind] if kind in simple else numbers(kind, field.metadata) for kind in kinds)
    )


def built(schema, **given):
    """Any instance of a schema."""
    strategies = dict(given)
    for field in schema.__dataclass_fields__.values():
        if field.name not in given:
            group = isinstance(field.type, type) and hasattr(field.type, "__dataclass_fields__")
            strategies[field.name] = built(field.type) if group else values(field)
    return st.builds(schema, **strategies)


def model_named(name):
    """Any config of the model of this name; a recurrent one has the cell it is named after."""
    cell = {} if name == "transformer" else {"cell": st.just(name)}
    return built(MODELS[name], name=st.just(name), **cell)


CONFIGS = st.sampled_from(sorted(MODELS)).flatmap(
    lambda name: built(Config, model=model_named(name))
)


@few_examples
@given(config=CONFIGS)
@example(config=Config(model=TransformerConfig(name="transformer"), resume=r"a\${b}${c"))
def test_plain_values_and_yaml_give_the_config_back(tmp_path_factory, config):
    plain = to_plain(config)
    assert from_plain(plain) == config
    path = tmp_path_factory.mktemp("run") / "config.yaml"
    write_yaml(path, plain)
    assert read_config(path) == config


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@few_examples
@given(PLAIN)
def test_anything_else_is_refused_as_a_config(values):
    with pytest.raises(UserError):
        from_plain(values)


@few_examples
@given(st.sampled_from(["seed", "model", "data", "trainer", "resume", "new"]), PLAIN)
def test_a_config_with_something_else_in_it_is_refused_or_valid(key, value):
    plain = to_plain(Config(model=TransformerConfig(name="transformer"))) | {key: value}
    try:
        config = from_plain(plain)
    except UserError:
        return
    assert from_plain(to_plain(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a config of a minitx run"),
        ("- a\n", "not a config of a minitx run"),
        ("model: {name: unheard_of}\n", "not a config of a minitx run .*unheard_of"),
        ("model: {name: lstm, heads: 3}\n", "heads"),
        ("a: [\n", "cannot be read"),
        ("!!python/object/apply:os.mkdir [x]\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"config.yaml.*{message}"):
        read_config(path)


def test_a_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(UserError, match="is not a run's folder"):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("trainer.max_step", "trainer.max_steps"),
        ("model.drop_out", "model.dropout"),
        ("data.batchsize", "data.batch_size"),
        ("sede", "seed"),
        ("optimizer.dropout", "model.dropout"),
    ],
)
def test_an_unknown_key_suggests_the_nearest(wrong, right):
    with pytest.raises(UserError, match=f"there is no key {wrong}: did you mean {right}"):
        compose(f"+{wrong}=1")


def test_a_key_like_no_other_is_refused_too():
    with pytest.raises(UserError, match="there is no key xyzzy; --help lists the keys"):
        compose("+xyzzy=1")


def test_a_key_of_another_model_names_that_model():
    with pytest.raises(UserError, match=r"model.heads is not a key of this model.*transformer"):
        compose("model=lstm", "+model.heads=2")


def test_later_overrides_win():
    assert compose("seed=2", "seed=3").seed == 3
    assert compose("model=lstm", "model=gru").model.name == "gru"


SAVED = ("seed=5", "model.dim=64", "trainer.max_steps=100", "logger=wandb", "logger.group=mine")


@pytest.fixture
def folder(tmp_path):
    write_yaml(tmp_path / "config.yaml", to_plain(compose(*SAVED)))
    return tmp_path


def on_resume(folder, *words):
    words = (f"resume={folder}", *words)
    return resumed(compose(*words), list(words))


def test_a_resumed_run_keeps_its_own_config(folder):
    config = on_resume(folder)
    assert config.resume == str(folder)
    config.resume = None
    assert config == compose(*SAVED)


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["trainer.max_steps=400"], {"trainer.max_steps": 400}),
        (["trainer.max_steps=null"], {"trainer.max_steps": None}),
        (["logger.mode=online"], {"logger.mode": "online"}),
        (["logger=csv"], {"logger.name": "csv"}),  # and the group stays
        (["trainer=gpu"], {"trainer.accelerator": "gpu", "trainer.precision": "bf16-mixed"}),
        (["trainer=gpu", "trainer.precision=32-true"], {"trainer.accelerator": "gpu"}),
        (
            ["trainer=ddp", "trainer.devices=4"],
            {"trainer.accelerator": "gpu", "trainer.strategy": "ddp", "trainer.devices": 4},
        ),
        (["seed=5", "model.dim=64"], {}),  # as they are
        (["model=transformer", "optimizer=muon"], {}),
    ],
)
def test_how_long_and_where_may_change(folder, words, changed):
    expected = to_plain(on_resume(folder))
    for name, value in changed.items():
        group, key = name.split(".")
        expected[group][key] = value
    assert to_plain(on_resume(folder, *words)) == expected


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("seed=6", "seed (5 in the run, 6 asked for)"),
        ("model.dim=128", "model.dim (64 in the run, 128 asked for)"),
        ("model=lstm", "model (transformer in the run, lstm asked for)"),
        ("optimizer=adamw", "optimizer (muon in the run, adamw asked for)"),
        ("optimizer.lr=0.5", "optimizer.lr"),
        ("data.batch_size=3", "data.batch_size"),
        ("task=text", "task"),
        ("run.dir=elsewhere", "run.dir"),
        ("budget.parameters=100000", "budget.parameters"),
        ("experiment=plain", "experiment"),
    ],
)
def test_what_makes_it_another_run_may_not(folder, word, named):
    with pytest.raises(UserError) as caught:
        on_resume(folder, "trainer.max_steps=400", word)
    assert f"resume cannot change {named}" in str(caught.value)


@pytest.mark.parametrize("word", ["trainer={max_steps: 400}", "logger=../../etc"])
def test_a_choice_is_one_of_the_files_of_conf(folder, word):
    with pytest.raises(UserError) as caught:
        on_resume(folder, word)
    assert "\n" not in str(caught.value)


def test_no_config_without_a_model_is_complete():
    with pytest.raises(UserError):
        from_plain(to_plain(Config(model=ModelConfig())))


def test_a_recurrent_model_is_named_after_its_cell():
    values = to_plain(Config(model=RecurrentConfig(name="lstm", cell="gru")))
    with pytest.raises(UserError, match=r"model\.cell=gru needs model=gru"):
        from_plain(values)


def test_types_are_given_to_hydra_once_unless_they_change(monkeypatch):
    """To give them takes longer than to compose a small config."""
    compose()
    stored = []
    monkeypatch.setattr(ConfigStore, "store", lambda self, name, **_: stored.append(name))
    compose("model=lstm")
    assert stored == []
    wider = dataclasses.make_dataclass(
        "RecurrentConfig", [("more", int, 0)], bases=(MODELS["rnn"],)
    )
    monkeypatch.setitem(MODELS, "rnn", wider)
    register_schemas()
    assert set(stored) == {"recurrent_schema"}


def test_a_file_of_conf_is_read_again_when_it_has_changed(tmp_path, monkeypatch):
    """And what Hydra does with the values that it got changes nothing."""
    monkeypatch.setattr(yaml_files, "CONF", tmp_path)
    source, file = yaml_files.FileConfigSource("main", f"file://{tmp_path}"), tmp_path / "a.yaml"
    file.write_text("dim: 1")
    source.load_config("a").config.dim = 2
    assert source.load_config("a").config == {"dim": 1}
    file.write_text("dim: 3")
    os.utime(file, ns=(1, 1))
    assert source.load_config("a").config == {"dim": 3}
