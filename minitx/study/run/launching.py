"""Run a study's jobs with Hydra's launcher: in this process, in several, or on a cluster.

`hydra/launcher=joblib` or `submitit_slurm` on the command line of `minitx compare` selects the
launcher. A job has the same command line with `only=<key>` added.
"""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.callbacks import Callbacks  # a launcher's context needs one
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from minitx.config.command_line import installed_command
from minitx.config.compose import register_schemas, to_typed
from minitx.config.schema import CompareConfig
from minitx.errors import StoppedByUser, UserError
from minitx.study.plan.definition import defined, study_folder
from minitx.study.run.job import do_run
from minitx.terminal.text import printable


def command(overrides: Sequence[str]) -> str:
    """Return the command line, quoted for a shell: command, the user's config folder, overrides.

    It is part of the report, and does not depend on where this process found its script.
    """
    here = Path.cwd()
    folders = [
        Path(source.path).resolve()
        for source in HydraConfig.get().runtime.config_sources
        if source.provider == "command-line"
    ]
    shown = [str(each.relative_to(here) if each.is_relative_to(here) else each) for each in folders]
    flags = [word for folder in shown for word in ("--config-dir", folder)]
    return installed_command("compare", *flags, *overrides)


def launch(keys: Sequence[str]) -> None:
    """Do the runs with these keys, and return when all have finished or failed.

    Raises UserError if a launcher does not work, or if a job ends without an answer because it was
    cancelled or its process was killed.
    """
    hydra, here = GlobalHydra.instance().hydra, HydraConfig.get()
    assert hydra is not None
    asked = list(here.overrides.task)
    whole = hydra.config_loader.load_configuration(
        here.job.config_name, [*here.overrides.hydra, *asked], run_mode=RunMode.MULTIRUN
    )
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
    launcher = Plugins.instance().instantiate_launcher(context, _job, whole)
    jobs = [[*asked, f'only="{key}"'] for key in keys]  # unquoted, 12e45678 would be a number
    try:
        results = launcher.launch(jobs, initial_job_idx=0)
    except Exception as error:  # of the launcher: a job's own exception is in its result
        reason = textwrap.shorten(str(error) or type(error).__name__, 240, placeholder=" ...")
        raise UserError(
            f"hydra/launcher={here.runtime.choices['hydra/launcher']} did not finish all of its "
            f"jobs: {reason}; run this command again to finish the study"
        ) from error
    for ended in results:
        if ended.status is JobStatus.FAILED:  # before the run began; later ones are in the store
            raise ended._return_value


def _job(composed: DictConfig) -> None:
    """The function that the launcher calls, possibly in another process."""
    register_schemas()
    try:
        do_asked_run(to_typed(composed, CompareConfig), HydraConfig.get().overrides.task)
    except StoppedByUser as error:
        # The launcher would continue with the next job after an ordinary exception.
        sys.exit(printable(f"error: {error}", kept=""))


def do_asked_run(config: CompareConfig, overrides: Sequence[str]) -> None:
    """Do the run that `only=` names, of a study that is already planned."""
    assert config.only is not None
    do_run(config, study_folder(defined(config, overrides)), config.only)
