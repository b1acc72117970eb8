"""Test the config keys: their help, their checks, and that they match the code that reads them."""

import dataclasses
import re
import typing
from types import NoneType

import pytest
from model_kinds import VOCAB
from omegaconf import OmegaConf

from minitx.commands.table import COMMANDS
from minitx.config.compose import compose, composed, from_plain, to_plain, to_typed
from minitx.config.keys import CONF, keys, options
from minitx.config.schema import (
    MODELS,
    Config,
    DataConfig,
    DecodingChange,
    DecodingConfig,
    LoggerConfig,
    OptimizerConfig,
    RecurrentConfig,
    TaskConfig,
    TransformerConfig,
)
from minitx.data.tokenizers.sequence import KINDS, MIN_SUBWORDS, SPECIALS, train_sequence_tokenizer
from minitx.data.tokenizers.text import MIN_BPE_VOCAB, train_tokenizer
from minitx.errors import UserError
from minitx.models.build import language_model
from minitx.nn.activations import ACTIVATIONS
from minitx.nn.blocks import NORMS
from minitx.nn.recurrent import CELLS
from minitx.objectives.optim import learning_rate_factor, make_optimizer

SCHEMAS = {name: each.schema for name, each in COMMANDS.items() if each.schema is not None}

# (script, model, dotted name, field) of every key there is, each once.
KEYS = {
    (script, name): (script, model, name, field)
    for script, schema in SCHEMAS.items()
    for model in MODELS
    for name, field in keys(schema, MODELS[model])
}.values()

every_key = pytest.mark.parametrize(
    ("script", "model", "name", "field"), KEYS, ids=[f"{key[0]}-{key[2]}" for key in KEYS]
)


PARALLEL = ["mingru", "minlstm", "gated_linear", "mamba2", "gated_deltanet"]


def choices(schema, name):
    return {field.name: field for field in schema.__dataclass_fields__.values()}[name].metadata[
        "choices"
    ]


def checked(script, model, name, value):
    """The typed config with one value changed."""
    schema = SCHEMAS[script]
    given = schema(model=MODELS[model](name=model)) if issubclass(schema, Config) else schema
    composed = OmegaConf.structured(given)
    OmegaConf.update(composed, name, value)
    return to_typed(composed, schema)


@every_key
def test_every_key_is_explained(script, model, name, field):
    assert len(field.metadata["help"]) > 3


@pytest.mark.parametrize(
    ("schema", "key", "known"),
    [
        (TransformerConfig, "activation", ACTIVATIONS),
        (TransformerConfig, "norm", NORMS),
        (TransformerConfig, "mixer", ["attention", *CELLS, *PARALLEL, "average", "none"]),
        (RecurrentConfig, "cell", CELLS),
        (TaskConfig, "name", options("task")),
        (OptimizerConfig, "name", options("optimizer")),
        (LoggerConfig, "name", options("logger")),
    ],
)
def test_choices_are_what_the_code_knows(schema, key, known):
    assert sorted(choices(schema, key)) == sorted(known)


def test_every_model_has_its_file():
    assert options("model") == sorted(MODELS)


@pytest.mark.parametrize("key", ["mixer", "position", "norm", "norm_order", "activation"])
def test_each_choice_of_a_transformer_builds_another_model(key):
    described = set()
    for choice in choices(TransformerConfig, key):
        config = TransformerConfig(dim=8, layers=1, **{key: choice})
        model = language_model(config, VOCAB)
        attributes = [
            getattr(part, name)
            for part in model.modules()
            for name in ("activation", "pre")
            if hasattr(part, name)
        ]
        described.add(f"{model} {attributes}")
    assert len(described) == len(choices(TransformerConfig, key))


def test_each_choice_of_a_schedule_is_another():
    factors = {
        learning_rate_factor(60, 0.6, OptimizerConfig(schedule=choice, warmup_steps=10))
        for choice in choices(OptimizerConfig, "schedule")
    }
    assert len(factors) == len(choices(OptimizerConfig, "schedule"))


def test_each_choice_of_an_optimizer_is_another():
    model = language_model(TransformerConfig(dim=8, layers=1), VOCAB)
    names = choices(OptimizerConfig, "name")
    made = {type(make_optimizer(model, OptimizerConfig(name=name))) for name in names}
    assert len(made) == len(names)


def test_each_choice_of_a_tokenizer_can_be_trained():
    of_texts = {"char", "byte", "bpe"}
    for kind in of_texts:
        assert train_tokenizer(kind, MIN_BPE_VOCAB, ["to be"]).kind == kind
    for kind in KINDS:
        assert train_sequence_tokenizer(kind, MIN_SUBWORDS, ["to be"]).kind == kind
    for key in ("tokenizer", "target_tokenizer"):
        assert set(choices(DataConfig, key)) == of_texts | set(KINDS)


def test_a_vocabulary_may_be_as_small_as_the_smallest_tokenizer_has_it():
    least = DataConfig.__dataclass_fields__["vocab_size"].metadata["minimum"]
    assert least == len(SPECIALS) + 1  # one word
    assert train_sequence_tokenizer("word", least, ["to be to"]).vocab_size == least
    for kind, minimum in (("bpe", MIN_SUBWORDS), ("unigram", MIN_SUBWORDS)):
        with pytest.raises(UserError, match=f"data.vocab_size={least} must be at least {minimum}"):
            train_sequence_tokenizer(kind, least, ["to be"])
    with pytest.raises(UserError, match=f"data.vocab_size={least} .*at least {MIN_BPE_VOCAB}"):
        train_tokenizer("bpe", least, ["to be"])


def test_a_text_has_no_tokenizer_of_words_alone():
    """Nor pairs and labels one of bytes: what cannot be had is said."""
    for kind in ("word", "unigram"):
        with pytest.raises(UserError, match=f"{kind}.*char, byte"):
            train_tokenizer(kind, MIN_BPE_VOCAB, ["to be"])
    with pytest.raises(UserError, match=r"'byte' is unknown: choose char, word"):
        train_sequence_tokenizer("byte", MIN_SUBWORDS, ["to be"])


OPTIONS = [
    f"{f.parent.name}={f.stem}"
    for f in sorted(CONF.glob("*/*.yaml"))
    # Not recipes, which a task and a model choose together, nor studies, which are not of a run.
    if f.parent.name not in ("recipe", "study")
]


def values_in(path):
    """What a file sets, by the groups whose keys these are."""
    values = OmegaConf.to_container(OmegaConf.load(path))
    values.pop("defaults", None)
    for_all_groups = path.read_text(encoding="utf-8").startswith("# @package _global_\n")
    return values if for_all_groups else {path.parent.name: values}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_to_what_its_file_says(option):
    group, name = option.split("=")
    config = to_plain(compose(option))
    values = values_in(CONF / group / f"{name}.yaml")
    recipe = CONF / "recipe" / f"{name}_transformer.yaml"
    if group == "task" and recipe.exists():
        values = OmegaConf.to_container(OmegaConf.merge(values, values_in(recipe)))
    for section, said in values.items():
        assert said.items() <= config[section].items()
    assert to_plain(from_plain(config)) == config


@pytest.mark.parametrize("name", options("recipe"))
def test_a_recipe_is_chosen_by_its_task_and_model(name):
    task, _, model = name.rpartition("_")
    same_as_lstm = values_in(CONF / "recipe" / f"{task}_lstm.yaml")
    values = values_in(CONF / "recipe" / f"{name}.yaml") or same_as_lstm
    config = to_plain(compose(f"task={task}", f"model={model}"))
    for section, said in values.items():
        assert said.items() <= config[section].items()
    assert compose(f"task={task}", f"model={model}", "model.dim=40").model.dim == 40
    for other in MODELS:
        if f"{task}_{other}" not in options("recipe"):
            plain = values_in(CONF / "model" / f"{other}.yaml")["model"]
            found = to_plain(compose(f"task={task}", f"model={other}"))["model"]
            assert plain.items() <= found.items()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_command_composes(name):
    config = to_typed(composed(COMMANDS[name].register()), SCHEMAS[name])
    assert isinstance(config, SCHEMAS[name])


def broken(rules):
    """A value that breaks each of a key's rules."""
    if "choices" in rules:
        yield "nonsense"
    if "minimum" in rules:
        yield rules["minimum"] - 1
    if "maximum" in rules:
        yield rules["maximum"] + 1
    if "above" in rules:
        yield rules["above"]
    if "below" in rules:
        yield rules["below"]


RULES = [(*key[:3], value) for key in KEYS for value in broken(key[3].metadata)]


@pytest.mark.parametrize(("script", "model", "name", "value"), RULES)
def test_every_rule_is_kept(script, model, name, value):
    with pytest.raises(UserError, match=rf"^{name}={re.escape(str(value))}.*: .*(must|may) be"):
        checked(script, model, name, value)


@every_key
def test_a_number_is_finite_and_can_be_calculated_with(script, model, name, field):
    union = typing.get_origin(field.type) not in (list, dict)
    types = (typing.get_args(field.type) if union else ()) or (field.type,)
    too_large = [2**63, 10**30] if int in types else []
    if float in types:
        too_large = [float("nan"), float("inf"), float("-inf"), 1e300]
    for value in too_large:
        with pytest.raises(UserError, match=rf"^{name}={re.escape(str(value))}: .*must be"):
            checked(script, model, name, value)


def test_decoding_of_a_run_is_changed_within_the_rules_of_decoding():
    rules, changes = (
        {
            field.name: {rule: value for rule, value in field.metadata.items() if rule != "help"}
            for field in dataclasses.fields(schema)
        }
        for schema in (DecodingConfig, DecodingChange)
    )
    assert changes == rules
    assert rules["beam"]["maximum"] == 10_000
    assert set(vars(DecodingChange()).values()) == {None}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer.schedule", "cosin", "did you mean cosine? it may be one of cosine, linear"),
        ("data.batch_size", 0, "data.batch_size=0: it must be at least 1"),
        ("data.val_fraction", 0.5, "data.val_fraction=0.5: it must be below 0.5"),
        ("trainer.max_minutes", 0.0, "trainer.max_minutes=0.0: it must be above 0"),
    ],
)
def test_the_message_names_what_would_be_right(name, value, message):
    with pytest.raises(UserError, match=re.escape(message)):
        checked("train", "transformer", name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("data.batch_size", 1), ("model.dropout", 0.0), ("data.vocab_size", 257), ("seed", 0)],
)
def test_the_border_itself_is_allowed(name, value):
    assert (
        OmegaConf.select(OmegaConf.structured(checked("train", "transformer", name, value)), name)
        == value
    )


@every_key
def test_a_value_of_another_type_is_refused(script, model, name, field):
    kinds = typing.get_args(field.type) or (field.type,)
    wrong = {"a": 1} if str in kinds or typing.Any in kinds else "two"  # a mixer may be a list
    if script == "train":
        plain = to_plain(Config(model=MODELS[model](name=model)))
        *parents, last = name.split(".")
        section = plain
        for parent in parents:
            section = section[parent]
        section[last] = wrong
        with pytest.raises(UserError, match="not a config of a minitx run"):
            from_plain(plain)
        if NoneType not in kinds:
            section[last] = None
            with pytest.raises(UserError, match="not a config of a minitx run"):
                from_plain(plain)
