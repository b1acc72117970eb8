"""Gives the runs of a study to Hydra's launcher: this process, several, or a cluster.

`hydra/launcher=joblib` or `submitit_slurm` on the command line of scripts/compare.py decides which.
A job is that same command line with `only=<key>` added.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.callbacks import Callbacks  # a launcher's context needs one
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from minitx.config.command_line import command_line
from minitx.config.compose import register_schemas, to_typed
from minitx.config.schema import CompareConfig
from minitx.errors import StoppedByUser
from minitx.study.plan.definition import defined, study_folder
from minitx.study.run.job import do_run


def command(overrides: Sequence[str]) -> str:
    """Return what was typed, for a shell: the command, the user's config folder, the overrides."""
    here = Path.cwd()
    folders = [
        Path(source.path).resolve()
        for source in HydraConfig.get().runtime.config_sources
        if source.provider == "command-line"
    ]
    shown = [str(each.relative_to(here) if each.is_relative_to(here) else each) for each in folders]
    flags = [word for folder in shown for word in ("--config-dir", folder)]
    return command_line("compare", *flags, *overrides)


def launch(keys: Sequence[str]) -> None:
    """Does the runs with these keys, and returns when all are done or have failed."""
    hydra, here = GlobalHydra.instance().hydra, HydraConfig.get()
    assert hydra is not None
    asked = list(here.overrides.task)
    whole = hydra.config_loader.load_configuration(
        here.job.config_name, [*here.overrides.hydra, *asked], run_mode=RunMode.MULTIRUN
    )
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
    launcher = Plugins.instance().instantiate_launcher(context, _job, whole)
    jobs = [[*asked, f'only="{key}"'] for key in keys]  # quoted: 12e45678 is a number to Hydra
    for ended in launcher.launch(jobs, initial_job_idx=0):
        if ended.status is JobStatus.FAILED:  # before the run began, or else it is in the store
            raise ended._return_value


def _job(composed: DictConfig) -> None:
    """What a launcher calls, maybe in another process."""
    register_schemas()
    try:
        do_asked_run(to_typed(composed, CompareConfig))
    except StoppedByUser as error:
        # No ordinary exception: a launcher would go on with the next job.
        sys.exit(f"error: {error}")


def do_asked_run(config: CompareConfig) -> None:
    """The run that `only=` names, of a study that was planned before."""
    assert config.only is not None
    do_run(config, study_folder(defined(config)), config.only)
