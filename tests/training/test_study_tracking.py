"""A study in W&B: its runs are a group, and its report is a run of that group."""

from pathlib import Path

from own_studies import MINE, write_study
from wandb_files import read

from minitx.config.schema import LoggerConfig
from minitx.study.run import job
from minitx.study.run.progress_text import publish


def test_the_runs_and_the_report_are_one_group(script, text_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(arms={"small": ["model=transformer"]})
    words = [
        *(*MINE, "task=text", f"data.path={text_file}"),
        *("model.dim=16", "model.layers=1", "model.context=16", "data.batch_size=8"),
        *("trainer.max_steps=10", "trainer.val_every=5", "logger=wandb"),
    ]
    assert script("compare", *words).status == 0
    (trained,) = Path("studies/runs").glob("*/wandb/offline-run-*/run-*.wandb")
    (report,) = Path("studies").glob("mine_text_quick/wandb/offline-run-*/run-*.wandb")
    runs = [read(path) for path in (trained, report)]
    assert [run["group"] for run in runs] == ["mine_text_quick"] * 2
    assert runs[1]["name"] == "report"
    assert [run["job_type"] for run in runs] == ["train", "report"]
    assert runs[0]["tags"][-2:] == ["mine_text_quick", "small"]
    assert runs[1]["tags"] == ["mine_text_quick"]
    logged = {name.partition("/")[0] for row in runs[1]["history"] for name in row}
    assert {"runs", "quality"} <= logged
    # Nothing new, nothing published.
    assert script("compare", *words).status == 0
    assert len(list(Path("studies").glob("mine_text_quick/wandb/offline-run-*"))) == 1


def test_a_report_that_wandb_refuses_is_one_line(capsys, monkeypatch, tmp_path):
    """The study is done, and its report is written."""

    def refuse(**settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("wandb.init", refuse)
    publish(None, tmp_path, LoggerConfig("wandb"))
    publish(None, tmp_path, LoggerConfig("csv"))
    assert capsys.readouterr().err == (
        "W&B failed ([Errno 13] Permission denied): the report is not in it\n"
    )


def test_a_run_of_a_study_is_offline_if_wandb_no_longer_works(capsys, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "short")  # it was longer when the study began
    logger = LoggerConfig("wandb", mode="online")
    job._check_tracker(logger)
    assert logger.mode == "offline"
    assert capsys.readouterr().err.startswith("logger.mode=online: W&B refused the login")
