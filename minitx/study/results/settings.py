"""What the runs of a study were set to in the end: recipes, defaults and solved widths together."""

from typing import Any

from minitx.config.compose import to_plain
from minitx.config.keys import as_typed
from minitx.config.schema import Config
from minitx.study.results.results import Results

# What decides how a model comes out; the rest says where things lie, what is shown, and how a
# trained model is used.
SHOWN = {
    "task": ("pairs", "label_smoothing"),
    "data": (
        *(
            "batch_size",
            "batch_tokens",
            "tokenizer",
            "target_tokenizer",
            "vocab_size",
            "shared_vocab",
        ),
        *("stress", "val_fraction", "train_fraction"),
    ),
    "model": None,  # all
    "optimizer": None,
    "trainer": (
        *("max_steps", "max_minutes", "val_every", "val_tokens", "patience", "accumulate"),
        *("average", "average_of", "precision"),
    ),
}

Settings = dict[str, Any]  # values by the keys of a config: "model.heads"


def settings_of(config: Config) -> Settings:
    """The settings of a run, by its config; null ones are left out."""
    values = to_plain(config)
    return {
        f"{group}.{name}": value
        for group, names in SHOWN.items()
        for name, value in values[group].items()
        if (names is None or name in names) and value is not None
    }


def describe_settings(results: Results) -> dict[str, str]:
    """What was set for all arms, and what for each, without what the study varies: words by whom.

    Of an arm at several points of a grid these are the settings at the first one.
    """
    varied = {*results.axes, *results.study.sweep}
    arms = {
        arm: {key: value for key, value in found.items() if key not in varied}
        for arm, found in results.settings.items()
    }
    if not arms:
        return {}
    first, *others = arms.values()
    shared = {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }
    where = " at the first point" if results.axes else ""
    own = {
        f"of {arm}{where}": {key: value for key, value in found.items() if key not in shared}
        for arm, found in arms.items()
    }
    return {whose: _words(found) for whose, found in ({"of all": shared} | own).items() if found}


def differing_settings(results: Results) -> dict[str, dict[str, Any]]:
    """What arms were trained differently by, beside the model: by key, the value of each arm.

    What the study varies or swept is left out, and so is what its arms themselves say: a key, or
    a group with all of its keys.
    """
    varied = {*results.axes, *results.study.sweep}
    for words in results.study.arms.values():
        varied |= {word.lstrip("+").partition("=")[0] for word in words}
    keys = dict.fromkeys(key for found in results.settings.values() for key in found)
    of_training = [
        key
        for key in keys
        if varied.isdisjoint((key, key.partition(".")[0]))
        and (key == "model.dropout" or not key.startswith("model."))
    ]
    found = {
        key: {arm: settings.get(key) for arm, settings in results.settings.items()}
        for key in of_training
    }
    return {key: arms for key, arms in found.items() if len(set(map(str, arms.values()))) > 1}


def _words(found: Settings) -> str:
    return " ".join(f"{key}={as_typed(value)}" for key, value in found.items())
