"""A study on SLURM, with a job cancelled and the node restarted midway.

pytest tests/faults/test_slurm.py --campaign
needs Debian's slurm-wlm and munge, and `pip install "minitx[cluster]"`.
"""

import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from slurm_cluster import Cluster, missing

ROOT = Path(__file__).resolve().parents[2]
STEPS, EVERY = 2000, 100  # of each run; between checkpoints
LIMIT = 3600  # seconds that a study may take, on a slow machine
STUDY = {
    "defaults": ["study_schema", "_self_"],
    "name": "two",
    "question": "Which?",
    "arms": {"transformer": ["model=transformer"], "lstm": ["model=lstm"]},
    "match": False,
    "settings": [
        *("model.dim=16", "model.layers=1", "model.context=16", "data.batch_size=8"),
        *(f"trainer.max_steps={STEPS}", f"trainer.val_every={EVERY}"),
    ],
    "sections": ["quality"],
    "quick": {"seeds": [1, 2]},
}
RUNS = 4


@pytest.fixture
def cluster(request, tmp_path):
    """A running cluster. The test is skipped where there cannot be one."""
    if not request.config.getoption("--campaign", default=False):
        pytest.skip("a study on SLURM takes minutes: --campaign runs it")
    if absent := missing():
        pytest.skip(f"{', '.join(absent)} are not installed (Debian: slurm-wlm, munge)")
    if find_spec("submitit") is None:
        pytest.skip("hydra-submitit-launcher is not installed (the extra cluster)")
    cluster = Cluster(tmp_path / "slurm")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def begin():
    """Starts a process that does a study. It ends with the test at the latest."""
    processes = []

    def begin(study, *words):
        process = subprocess.Popen(
            [sys.executable, ROOT / "scripts" / "compare.py", *study.words, *words],
            cwd=study.folder,
            env=study.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


class Study:
    """A study in a folder of its own."""

    def __init__(self, folder, text_file, environment):
        self.folder, self.environment = folder, environment
        self.store = folder / "studies" / "runs"
        path = folder / "mine" / "study" / "two.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
        self.words = [
            *("--config-dir", "mine", "study=two", "task=text", f"data.path={text_file}"),
            *("optimizer=adamw", "logger=csv", "study.dir=study"),
        ]

    def losses(self):
        """Return the loss of each finished run on val, by its key."""
        found = {path.parent.name: json.loads(path.read_text()) for path in self.summaries()}
        return {
            key: summary["metrics"]["val/loss"]
            for key, summary in found.items()
            if summary["status"] == "finished"
        }

    def summaries(self):
        return sorted(self.store.glob("*/summary.json"))

    def in_training(self):
        """Return the keys of the runs that have a checkpoint and are not finished."""
        kept = {path.parents[1].name for path in self.store.glob("*/checkpoints/last.ckpt")}
        return sorted(kept - set(self.losses()))

    def validations(self, key):
        """Return the steps of the validations that a run's log shows, in order."""
        log = (self.store / f"{key}.log").read_text(encoding="utf-8")
        return [int(step.replace(",", "")) for step in re.findall(r"step ([\d,]+)/", log)]


def wait_for(condition, process):
    """Return the first true value of `condition`, while the process of a study goes on."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if value := condition():
            return value
        assert process.poll() is None, process.communicate()
        time.sleep(0.5)
    raise TimeoutError


@pytest.mark.timeout(0)
def test_a_study_survives_a_cancelled_job_and_a_restarted_node(
    cluster, begin, tally, tmp_path, text_file
):
    row = tally("a SLURM job cancelled, the node restarted", "resumes; nothing trains twice")
    study = Study(tmp_path / "cluster", text_file, cluster.environment)
    slurm = "hydra/launcher=submitit_slurm"

    # SLURM sends SIGUSR2 shortly before a job's time is over.
    for name, options in {"cancelled": [], "out of time": ["--signal=USR2"]}.items():
        with row.trial(f"a job is {name}"):
            process = begin(study, slurm)
            wait_for(study.in_training, process)
            time.sleep(3)  # between two checkpoints
            stopped = cluster.running()[0]
            cluster.ask("scancel", *options, stopped)
            out, err = process.communicate(timeout=LIMIT)
            assert process.returncode == 1, err
            assert "Traceback" not in out + err
            (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
            assert stopped in line
            assert "run this command again" in line
            assert not list(study.store.glob("*.failed.json"))

    with row.trial("the node is restarted"):
        second = begin(study, slurm)
        finished = study.losses()
        wait_for(lambda: len(study.losses()) < RUNS and study.in_training(), second)
        time.sleep(3)
        cluster.restart_node()
        out, err = second.communicate(timeout=LIMIT)
        assert second.returncode == 0, err
        assert len(study.losses()) == RUNS
        assert finished.items() <= study.losses().items()
        assert (study.folder / "study" / "report.md").is_file()

    with row.trial("a finished study launches nothing"):
        submitted, finished = cluster.submitted(), study.losses()
        third = begin(study, slurm)
        out, err = third.communicate(timeout=LIMIT)
        assert third.returncode == 0, err
        assert (cluster.submitted(), study.losses()) == (submitted, finished)

    # A validation may be seen twice if the node fails before its checkpoint is written.
    for key in study.losses():
        with row.trial(f"no step of {key} is trained twice"):
            steps = study.validations(key)
            back = [before - after for before, after in pairwise(steps) if after <= before]
            assert len(back) <= 1, steps
            assert all(by <= EVERY for by in back), steps
            assert steps[-1] == STEPS

    with row.trial("as if it had not been interrupted"):
        alone = Study(tmp_path / "alone", text_file, dict(os.environ))
        process = begin(alone)
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err
        assert alone.losses() == study.losses()
