"""Refuse a run that cannot work, before torch is imported."""

import re
from pathlib import Path

from minitx.config.home import replace_home
from minitx.config.schema import BudgetConfig, Config, LoggerConfig, TaskConfig
from minitx.data.corpora.packages import is_installed
from minitx.errors import UserError, short_reason
from minitx.runs.paths import (
    check_creatable,
    check_run_folder,
    default_runs,
    last_checkpoint,
    launched_by_lightning,
)
from minitx.tasks.requirements import check_corpus, check_keys
from minitx.training.environment import quiet_libraries

PLAIN_NAME = re.compile(r"[\w-]{1,128}")


def check_training(config: Config) -> None:
    """Refuse a run without an end, a corpus, a tracker or a folder. Raises UserError."""
    check_limits(config)
    if config.resume is not None:
        last_checkpoint(config.resume)
        check_creatable(Path(config.resume), f"resume={config.resume}")
    elif not launched_by_lightning():
        check_new_run(config.run.dir)
    check_keys(config)
    _check_budget(config.budget)
    check_corpus(config)
    check_tracker(config.logger)


def check_new_run(folder: str | None) -> None:
    """Refuse the folder of a new run if it is not empty or can't be written. Raises UserError."""
    if folder is None:
        runs = default_runs()
        check_creatable(runs, f"{runs} (choose another place with run.dir=)")
    else:
        check_run_folder(Path(folder))
        check_creatable(Path(folder), f"run.dir={folder}")


def check_limits(config: Config) -> None:
    """Refuse a run without an end, or with a goal that no run can reach. Raises UserError."""
    if config.trainer.max_steps is None and config.trainer.max_minutes is None:
        raise UserError("the run has no limit: set trainer.max_steps or trainer.max_minutes")
    if config.trainer.goal is not None:
        _check_goal(config.task, config.trainer.goal)


def _check_goal(task: TaskConfig, goal: float) -> None:
    from minitx.metrics.decomposable import MEASURES  # imports numpy and sacrebleu

    measure = MEASURES[task.headline]
    if not task.spec.headline:  # the outputs of sequence to sequence are searched after training
        raise UserError(
            f"trainer.goal={goal:g}: task={task.name} has no {measure.words} during training; "
            "use trainer.patience"
        )
    if measure.is_fraction and goal > 1:
        raise UserError(f"trainer.goal={goal:g}: {measure.words} is at most 1")


def _check_budget(budget: BudgetConfig) -> None:
    """Refuse a part of the parameters without a larger whole. Raises UserError."""
    if budget.non_embedding is not None and budget.non_embedding >= (budget.parameters or 0):
        raise UserError(
            f"budget.non_embedding={budget.non_embedding:,} is a part of budget.parameters: "
            "set that to a larger number, such as "
            f"budget.parameters={budget.non_embedding + budget.non_embedding // 4 + 1}"
        )


def check_tracker(config: LoggerConfig) -> None:
    """Refuse a tracker that will not work, before anything is loaded. Raises UserError."""
    if config.name == "tensorboard" and not is_installed("tensorboard"):
        raise UserError('logger=tensorboard needs a package: pip install "minitx[tensorboard]"')
    if config.name == "wandb":
        replace_home()
        _check_project(config.project)
        if config.mode == "online":
            _check_login()


def _check_project(project: str) -> None:
    """Refuse a name that W&B refuses. Raises UserError."""
    if not project.strip():
        raise UserError("logger.project is empty: give the project in W&B a name")
    if PLAIN_NAME.fullmatch(project):  # W&B takes a while to import
        return
    try:
        import wandb
    except Exception:  # the tracker reports it, and the run goes on
        return
    try:
        wandb.Settings(project=project)
    except (wandb.errors.Error, ValueError) as error:
        raise UserError(f"logger.project={project}: {short_reason(error)}") from error


def _check_login() -> None:
    """Refuse mode=online without a key that W&B accepts. Raises UserError."""
    quiet_libraries()
    try:
        import wandb

        has_key = wandb.login(prompt=False)
    except Exception as error:
        raise UserError(
            f"logger.mode=online: W&B refused the login ({short_reason(error)}); keep "
            "logger.mode=offline to train without it, and upload later with `wandb sync`"
        ) from error
    if not has_key:
        raise UserError(
            "logger.mode=online needs a W&B key and none was found: run `wandb login`, set "
            "WANDB_API_KEY, or keep logger.mode=offline (no account needed)"
        )
