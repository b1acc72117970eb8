"""Real processes: signals from outside, a kill, and two processes that train one model."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import FEW_CORES, WARM
from run_files import assert_same, checkpoint, files, rows, series, summary

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
# What two processes round differently grows with the rate of learning.
SLOW = ["optimizer.lr=3e-4", "optimizer.muon_lr=1e-3"]
LIMIT = 90  # seconds for one process, when the machine has other work


@pytest.fixture
def start(tiny, tmp_path):
    """Starts scripts/train.py as a group of processes, none of which outlives the test."""
    begun = []

    def start(*overrides, script=SCRIPT, forked=True):
        words, env = [*tiny, *map(str, overrides)], os.environ | {"PYTHONWARNINGS": FEW_CORES}
        if forked:  # those that it starts itself are no forks
            process = WARM.start(script, *words, cwd=tmp_path, env=env)
        else:
            process = subprocess.Popen(
                [sys.executable, script, *words],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env=env,
            )
        begun.append(process)
        return process

    yield start
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def said_besides_progress(err):
    """The lines on standard error, without those that tell how far the training is."""
    first, *others = err.splitlines()
    assert re.fullmatch(r"[\d,]+ tokens to train on", first)
    progress = re.compile(r"(training|validating|testing) .*|.* \.\.\.|.*: \d+%.*")
    return [line for line in others if not progress.fullmatch(line)]


def wait_for_step(folder, step, process):
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "metrics.csv").exists() and max(rows(folder), default=0) >= step:
            return
        time.sleep(0.02)
    pytest.fail(f"no step {step}: {process.communicate(timeout=5)}")


def changed_script(tmp_path, change):
    """scripts/train.py in a world that `change`, a source, makes another one."""
    script = tmp_path / "changed.py"
    script.write_text(
        f"""
import sys
from minitx.commands.cli import main
{change}
main("train")
""",
        encoding="utf-8",
    )
    return script


def group_is_gone(process):
    """Whether all that a process started has ended soon after it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


LONG = ["trainer.max_steps=100000", "trainer.val_every=40", "optimizer.schedule=constant"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_to_all_processes_stops_the_run_and_it_can_be_resumed(
    number, start, train, tmp_path
):
    """As a terminal sends Ctrl-C: the processes that prepare batches get it too."""
    folder, loaded = tmp_path / "run", ["model.dropout=0.1", "data.workers=2"]
    process = start("run.dir=run", *LONG, *loaded)
    wait_for_step(folder, 45, process)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    errors = said_besides_progress(err)
    assert len(errors) == 1, err
    assert errors[0].startswith("error: stopped at step ")
    assert errors[0].endswith(f"to go on: python {SCRIPT} resume=run")
    assert out == ""
    stopped = summary(folder)["steps"]
    assert checkpoint(folder, "last")["global_step"] == stopped == max(rows(folder))
    assert group_is_gone(process)
    end = stopped + 10
    train(f"resume={folder}", f"trainer.max_steps={end}")
    whole = ["optimizer.schedule=constant", "trainer.val_every=40", *loaded]
    train(f"run.dir={tmp_path / 'whole'}", *whole, f"trainer.max_steps={end}")
    assert rows(folder) == rows(tmp_path / "whole")
    one, other = checkpoint(folder, "last"), checkpoint(tmp_path / "whole", "last")
    assert_same(one["state_dict"], other["state_dict"])
    assert_same(one["optimizer_states"], other["optimizer_states"])


def test_a_killed_run_resumes_from_its_last_checkpoint(start, train, tmp_path):
    folder = tmp_path / "run"
    process = start("run.dir=run", *LONG)
    wait_for_step(folder, 50, process)
    process.kill()
    process.wait()
    assert summary(folder)["status"] == "running"
    kept, reached = checkpoint(folder, "last")["global_step"], max(rows(folder))
    assert kept % 40 == 0
    assert kept <= reached
    train(f"resume={folder}", f"trainer.max_steps={kept + 45}")
    whole = ["optimizer.schedule=constant", "trainer.val_every=40"]
    train(f"run.dir={tmp_path / 'whole'}", *whole, f"trainer.max_steps={kept + 45}")
    assert rows(folder) == rows(tmp_path / "whole")
    assert_same(
        checkpoint(folder, "last")["state_dict"],
        checkpoint(tmp_path / "whole", "last")["state_dict"],
    )


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """1025 validation windows: two batches for the one process, one batch for the other."""
    words = ["the", "king", "of", "men", "and", "his", "brother", "love", "to", "speak"]
    text = " ".join(random.Random(0).choices(words, k=100_000))[:328_000]
    path = tmp_path_factory.mktemp("uneven") / "line.txt"
    path.write_text(text, encoding="utf-8")  # without line breaks the cuts are exact
    return path


@pytest.mark.long
def test_two_processes_train_as_one(start, train, tmp_path, uneven):
    """Twice in one command, since the second job must start processes of its own."""
    process = start("-m", *TWO, f"data.path={uneven}", "seed=1,2", *SLOW)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err
    assert out.count("The run is in") == 2  # once for each run, not for each process
    assert "Traceback" not in err
    assert "sync_dist" not in err
    assert group_is_gone(process)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    folders = sorted(path for path in (tmp_path / "runs").iterdir() if path.name != "multirun")
    assert len(folders) == 2
    for seed, folder in enumerate(folders, start=1):
        alone = tmp_path / f"alone{seed}"
        train(f"run.dir={alone}", f"data.path={uneven}", f"seed={seed}", *SLOW)
        assert files(folder) == files(alone)
        assert list(rows(folder)) == list(rows(alone))
        for name in ("train/loss", "grad_norm", "lr", "val/loss", "val/accuracy"):
            assert series(folder, name) == pytest.approx(series(alone, name), abs=1e-5)
        one, other = summary(folder), summary(alone)
        assert one["metrics"] == pytest.approx(other["metrics"], rel=1e-5)
        for name in ("tokens_seen", "parameters", "steps", "status", "data_fingerprint"):
            assert one[name] == other[name]


@pytest.mark.long
def test_ctrl_c_to_two_processes(start, train, tmp_path):
    process = start(*TWO, *LONG, forked=False)
    deadline = time.monotonic() + LIMIT
    while not list(tmp_path.glob("runs/*/metrics.csv")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (folder,) = (tmp_path / "runs").iterdir()
    wait_for_step(folder, 45, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    first, _, others = err.partition("\n")
    assert first == "loading torch and the corpus text ..."  # once, not for every process
    errors = said_besides_progress(others)
    assert len(errors) == 1, err
    assert errors[0].startswith("error: stopped at step ")
    stopped = summary(folder)["steps"]
    assert checkpoint(folder, "last")["global_step"] == stopped
    assert list((tmp_path / "runs").iterdir()) == [folder]
    alone = ["trainer.devices=1", "trainer.strategy=auto"]
    run = train(f"resume={folder}", *alone, f"trainer.max_steps={stopped + 5}")
    assert run.config.trainer.devices == 1
    assert max(rows(folder)) == stopped + 5


def test_sigterm_while_one_of_two_processes_loads_its_data(start, tmp_path):
    """The other waits for it: they must not wait for each other elsewhere for ever."""
    script = changed_script(
        tmp_path,
        f"""
import time
from pathlib import Path
from minitx.data.module import StepDataModule

load = StepDataModule.train_dataloader

def slow(self):
    Path(f"loading{{self.trainer.global_rank}}").touch()
    if self.trainer.global_rank == 1:
        time.sleep({LIMIT})
    return load(self)

StepDataModule.train_dataloader = slow
""",
    )
    process = start(*TWO, "run.dir=run", script=script)
    deadline = time.monotonic() + LIMIT
    while len(list(tmp_path.glob("loading*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # the one that does not sleep waits for the other by now
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=LIMIT / 2)
    assert process.returncode != 0
    assert group_is_gone(process)


def test_a_disk_that_is_full_for_one_of_two_processes_is_one_line(start, train, tmp_path):
    """The one that writes the checkpoints ends, and does not leave the other waiting."""
    script = changed_script(
        tmp_path,
        """
from minitx.errors import WriteError
from minitx.training import checkpoints

write = checkpoints.write_bytes_atomically

def full(path, content):
    if path.name == "last.ckpt" and path.exists():
        raise WriteError(28, "No space left on device", str(path))
    write(path, content)

checkpoints.write_bytes_atomically = full
""",
    )
    process = start(*TWO, "run.dir=run", *SLOW, script=script)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    (line,) = [each for each in err.splitlines() if each.startswith("error: ")]
    assert "last.ckpt cannot be written: No space left on device; free some space" in line
    assert group_is_gone(process)
    folder = tmp_path / "run"
    assert summary(folder)["status"] == "failed"
    assert checkpoint(folder, "last")["global_step"] == 5
    train(f"resume={folder}", "trainer.devices=1", "trainer.strategy=auto")
    assert summary(folder)["status"] == "finished"
    assert list(rows(folder)) == list(range(1, 11))


def test_a_process_that_dies_does_not_leave_the_other_waiting(start, tmp_path):
    script = changed_script(
        tmp_path,
        """
from minitx.objectives.language_modeling import LanguageModeling

training_step = LanguageModeling.training_step

def step(self, batch, batch_idx):
    if self.global_rank == 1 and self.trainer.global_step == 7:
        raise ArithmeticError("this process dies")
    return training_step(self, batch, batch_idx)

LanguageModeling.training_step = step
""",
    )
    process = start(*TWO, "run.dir=run", script=script)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode != 0
    assert "this process dies" in err
    assert summary(tmp_path / "run")["status"] == "failed"
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 5
