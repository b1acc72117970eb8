"""Let Hydra compose each choice of YAML files once per process.

Hydra needs a tenth of a second to read and merge the files that `task=text model=lstm` chooses, and
the tests compose thousands of configs of a few such choices. Keys with values, such as
`trainer.max_steps=10`, are applied to a copy of what the files give, in every test.
"""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from hydra._internal import config_loader_impl, defaults_list

from minitx.config.keys import CONF
from minitx.config.schema import MODELS


def compose_once(patch):
    """Patch Hydra. Files of a user's own are merged again when they have changed."""
    loader = config_loader_impl.ConfigLoaderImpl
    choose, merge = (
        config_loader_impl.create_defaults_list,
        loader._compose_config_from_defaults_list,
    )
    chosen, merged = {}, {}

    def choose_once(repo, config_name, overrides_list, **how):
        overrides = defaults_list.Overrides(repo, overrides_list)
        values = overrides.config_overrides
        choices = [each.input_line for each in overrides_list if each not in values]
        key = str((config_name, choices, how, _state(repo)))
        if key not in chosen:
            chosen[key] = choose(repo, config_name, overrides_list, **how)
        return replace(chosen[key], config_overrides=values)

    def merge_once(self, defaults, repo):
        key = str((defaults, _state(repo)))
        if key not in merged:
            merged[key] = merge(self, defaults, repo)
        return deepcopy(merged[key])

    patch.setattr(config_loader_impl, "create_defaults_list", choose_once)
    patch.setattr(loader, "_compose_config_from_defaults_list", merge_once)


def _state(repo):
    """Return what a test may change: the models, and files that are not in conf/."""
    folders = [Path(source.path) for source in repo.get_sources() if source.scheme() == "file"]
    files = (
        file
        for folder in folders
        if folder != CONF
        for pattern in ("*.yaml", "*/*.yaml")
        for file in sorted(folder.glob(pattern))
        if file.is_file()
    )
    return list(MODELS.values()), folders, [(file, file.read_bytes()) for file in files]
