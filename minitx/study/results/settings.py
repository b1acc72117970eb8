"""The settings of a study's runs: recipes, defaults and solved widths together."""

from typing import Any

from minitx.config.compose import to_plain
from minitx.config.fields import as_typed
from minitx.config.recipes import recipe_keys
from minitx.config.renames import key_of
from minitx.config.schema import Config
from minitx.study.plan.run_store import LATER
from minitx.study.results.results import Results

# Keys that affect a trained model. The others are paths, outputs, and uses of a trained model.
SHOWN = {
    "task": ("pairs", "train_length", "test_lengths", "depth", "label_smoothing"),
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
    "model": None,  # None: all keys of the group
    "optimizer": None,
    "trainer": (
        *("max_steps", "max_minutes", "val_every", "val_tokens", "patience", "goal"),
        *("accumulate", "average", "average_of", "precision", "threads", "fused"),
    ),
}

MODEL = "model."

Settings = dict[str, Any]  # values by the keys of a config: "model.heads"


def settings_of(config: Config) -> Settings:
    """Return the settings in a run's config, without those that are null.

    A key that was added later is left out while it has no effect. A new key then changes no report.
    """
    values = to_plain(config)
    return {
        f"{group}.{name}": value
        for group, names in SHOWN.items()
        for name, value in values[group].items()
        if (names is None or name in names) and value != LATER.get(group, {}).get(name)
    }


def describe_settings(results: Results) -> dict[str, str]:
    """Return in words the settings that all arms share, and those of each arm.

    Keys that the study varies are left out. If there is a grid, the settings are those at its first
    point.
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
    return {
        whose: _words(found) for whose, found in ({"of all arms": shared} | own).items() if found
    }


def differing_settings(results: Results) -> dict[str, dict[str, Any]]:
    """Return the training settings in which arms differ: by key, the value of each arm.

    Keys of the model, of the grid, of the sweep and of the arms' own definitions are left out. An
    arm may define a key or a group with all of its keys.
    """
    varied = {*results.axes, *results.study.sweep}
    for words in results.study.arms.values():
        varied |= {key_of(word) for word in words}
    keys = dict.fromkeys(key for found in results.settings.values() for key in found)
    of_training = [
        key
        for key in keys
        if varied.isdisjoint((key, key.partition(".")[0])) and not key.startswith(MODEL)
    ]
    found = {
        key: {arm: settings.get(key) for arm, settings in results.settings.items()}
        for key in of_training
    }
    return {key: arms for key, arms in found.items() if len(set(map(str, arms.values()))) > 1}


def recipe_choices(results: Results) -> dict[str, dict[str, Any]]:
    """Return what recipes choose for the models: by key, the values of the arms that have the key.

    A value is None if neither the arm's recipe nor its own definition sets the key, so that it is a
    default. Keys of the grid, of the sweep and of the settings for all are left out, and so is the
    width if the size of the models determines it.
    """
    varied = {*results.axes, *results.study.sweep, *map(key_of, results.study.settings)}
    if results.study.match or results.study.parameters:
        varied.add("model.dim")
    recipes = {
        arm: recipe_keys(results.task, settings.get("model.name", ""))
        for arm, settings in results.settings.items()
    }
    own = {arm: set(map(key_of, words)) for arm, words in results.study.arms.items()}
    keys = {key for found in recipes.values() for key in found if key.startswith(MODEL)} - varied
    return {
        key: {
            arm: settings[key] if key in recipes[arm] | own[arm] else None
            for arm, settings in results.settings.items()
            if key in settings
        }
        for key in sorted(keys)
    }


def _words(found: Settings) -> str:
    return " ".join(f"{key}={as_typed(value)}" for key, value in found.items())
