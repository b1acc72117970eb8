"""The keys that a recipe sets: conf/recipe/TASK_MODEL.yaml suits a model to a task."""

import yaml

from minitx.config.keys import CONF


def recipe_keys(task: str, model: str) -> set[str]:
    """Return the keys that a recipe sets, as "model.layers". It is empty without a recipe.

    Recipes in a folder of the user's (--config-dir) are not known.
    """
    return _keys(f"{task}_{model}")


def _keys(name: str) -> set[str]:
    path = CONF / "recipe" / f"{name}.yaml"
    if not path.is_file():
        return set()
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    inherited = set().union(*map(_keys, groups.pop("defaults", [])))
    return inherited | {f"{group}.{key}" for group, values in groups.items() for key in values}
