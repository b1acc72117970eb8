"""What each script refuses at once: what can be told without torch, and without reading a corpus.

A script checks before it imports what takes seconds to import. The function that then does the work
checks as well, for whoever calls it from Python.
"""

from pathlib import Path

from minitx.commands.text_io import check_texts
from minitx.config.compose import changed, read_config
from minitx.config.schema import (
    CLASSIFICATION,
    LANGUAGE_MODELING,
    SEQUENCE_TO_SEQUENCE,
    Config,
    DataLocation,
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    ImportanceConfig,
    InspectConfig,
    LoggerConfig,
    PredictConfig,
    TranslateConfig,
)
from minitx.data.corpora.packages import is_installed
from minitx.errors import UserError
from minitx.runs.paths import (
    CONFIG,
    check_output,
    check_run_folder,
    find_checkpoint,
    last_checkpoint,
    launched_by_lightning,
)
from minitx.tasks.requirements import check_corpus, check_keys

# What makes use of a trained model of each objective.
SCRIPTS = {
    LANGUAGE_MODELING: "generate",
    SEQUENCE_TO_SEQUENCE: "translate",
    CLASSIFICATION: "predict",
}


def check_training(config: Config) -> None:
    """Refuses a training without an end, a corpus, a tracker or a folder. Raises UserError."""
    check_limits(config)
    if config.resume is not None:
        last_checkpoint(config.resume)
    elif config.run.dir is not None and not launched_by_lightning():
        check_run_folder(Path(config.run.dir))
    check_keys(config)
    check_corpus(config)
    check_tracker(config.logger)


def check_limits(config: Config) -> None:
    """Refuses a training without end. Raises UserError."""
    if config.trainer.max_steps is None and config.trainer.max_minutes is None:
        raise UserError("a training needs an end: set trainer.max_steps or trainer.max_minutes")


def check_tracker(config: LoggerConfig) -> None:
    """Says before anything is loaded that the tracker will not work. Raises UserError."""
    if config.name == "tensorboard" and not is_installed("tensorboard"):
        raise UserError('logger=tensorboard needs a package: pip install "minitx[tensorboard]"')
    if config.name == "wandb" and config.mode == "online":
        import wandb  # takes its time, and most runs need no login

        try:
            has_key = wandb.login(prompt=False)
        except wandb.errors.Error as error:
            raise UserError(
                f"logger.mode=online: W&B did not let us in ({error}); keep logger.mode=offline to "
                "train without it, and upload later with `wandb sync`"
            ) from error
        if not has_key:
            raise UserError(
                "logger.mode=online needs a W&B key and none was found: run `wandb login`, set "
                "WANDB_API_KEY, or keep logger.mode=offline (no account needed)"
            )


def check_run(path: str | None, objective: str | None = None) -> Path:
    """The checkpoint that `run=` means.

    Raises UserError where no run was named, it has no checkpoint, or its folder tells of another
    objective.
    """
    if path is None:
        raise UserError("which model? run=<a run's folder or .ckpt file>")
    file = find_checkpoint(Path(path))
    config = _config_in(path)
    if objective is not None and config is not None:
        check_objective(path, config, objective)
    return file


def check_objective(path: str, config: Config, objective: str) -> None:
    """Refuses a run of another objective than the script's. Raises UserError."""
    found = config.task.objective
    if found != objective:
        raise UserError(
            f"{path} is a run of {found} (task={config.task.name}), and this is for "
            f"{objective}: use scripts/{SCRIPTS[found]}.py"
        )


def check_evaluation(config: EvaluateConfig | ImportanceConfig) -> None:
    """Refuses a measurement without a run or without its corpus. Raises UserError."""
    check_run(config.run)
    assert config.run is not None
    _check_corpus_of(config.run, config.data)


def check_generation(config: GenerateConfig) -> None:
    """Refuses to write without a run or a prompt. Raises UserError."""
    check_run(config.run, LANGUAGE_MODELING)
    if not config.prompt:
        raise UserError('prompt="" is empty: give at least one character, as in prompt="ROMEO:"')


def check_translation(config: TranslateConfig) -> None:
    """Refuses to translate without a run, with texts or outputs that are not to be had, or with
    keys that contradict each other. Raises UserError.
    """
    check_run(config.run, SEQUENCE_TO_SEQUENCE)
    check_texts(config.text, config.input, config.output)
    if config.temperature is None and (config.top_k or config.top_p) is not None:
        raise UserError("top_k and top_p are for drawing outputs: say temperature=1 as well")
    if config.temperature is not None and config.decoding.beam is not None:
        raise UserError(
            f"decoding.beam={config.decoding.beam} is for searching outputs, and temperature="
            f"{config.temperature:g} draws them: leave one of them out"
        )


def check_prediction(config: PredictConfig) -> None:
    """As `check_translation`, for classifiers."""
    check_run(config.run, CLASSIFICATION)
    check_texts(config.text, config.input, config.output)


def check_inspection(config: InspectConfig) -> None:
    """Refuses to inspect without a run or a text. Raises UserError."""
    check_run(config.run)
    if config.text is None:
        raise UserError('which text is the model to read? text="..."')
    if config.other is not None:
        check_run(config.other)


def check_explanation(config: ExplainConfig) -> None:
    """Refuses keys of a run where there is none, a run without a text, an output that is there.

    Raises UserError.
    """
    check_output(config.output)
    if config.run is not None:
        if config.text is None:
            raise UserError('which text is the model to read? text="..."')
        check_run(config.run)
        return
    for name in ("text", "part", "layer", "head"):
        if getattr(config, name) is not None:
            raise UserError(
                f"{name}= is of a trained model: say run=<a run's folder or .ckpt file> too"
            )


def _check_corpus_of(path: str, where: DataLocation) -> None:
    """Refuses a corpus that is missing, where the run's folder tells which it is."""
    config = _config_in(path)
    if config is not None:
        config.data = changed(config.data, where)
        check_corpus(config)


def _config_in(path: str) -> Config | None:
    """The config in a run's folder; None without a folder. The checkpoint is what counts."""
    file = Path(path, CONFIG)
    try:
        return read_config(file) if file.is_file() else None
    except UserError:
        return None
