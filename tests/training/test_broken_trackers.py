"""Test that no tracker stops a run: it is refused beforehand, or reported once."""

import http.server
import os
import re
import signal
import tempfile
import threading
import time

import pytest
import wandb
from forked import WARM
from run_files import checkpoint, rows, summary
from stopping import assert_same_run
from tensorboard.summary.writer.record_writer import RecordWriter
from wandb.sdk import wandb_setup
from wandb_files import wandb_run

from minitx.config.schema import LoggerConfig
from minitx.errors import UserError
from minitx.runs.atomic_write import append_whole
from minitx.training import checks, outputs, trackers, wandb_runs
from minitx.training.checks import check_tracker
from minitx.training.trackers import Tracker, reason, within

USUAL = re.compile(r"(training|validating|testing) |[\d,.]+ tokens to train on|.*`srun`")
ONLINE = ("logger=wandb", "logger.mode=online")


@pytest.fixture(autouse=True)
def _fresh_process():
    """Each test starts W&B's own process itself, and leaves none."""
    wandb.teardown()
    yield
    trackers.disconnect_wandb()


@pytest.fixture
def reports(train, tmp_path, capfd):
    """Train a run that must finish; return what it printed in addition to its progress."""

    def reports(*words, name="run"):
        capfd.readouterr()
        train(f"run.dir={tmp_path / name}", *words)
        found = summary(tmp_path / name)
        assert (found["status"], found["steps"]) == ("finished", 10)
        assert list(rows(tmp_path / name)) == list(range(1, 11))
        assert checkpoint(tmp_path / name, "last")["global_step"] == 10
        printed = capfd.readouterr()
        return [line for line in printed.err.splitlines() if not USUAL.match(line)]

    return reports


def raising(error, *, after=0):
    """Return a function that raises an error from its call number `after` on."""
    calls = []

    def function(*args, **kwargs):
        calls.append(args)
        if len(calls) > after:
            raise error

    return function


class Broken(http.server.BaseHTTPRequestHandler):
    """A server that answers every request as `answer` does."""

    def do_POST(self):
        self.server.asked += 1
        self.server.answer(self)

    do_GET = do_POST

    def log_message(self, *args):
        pass


def garbage(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"<html>\xff not what was asked for")


def slow(handler):
    time.sleep(5)


def error(handler):
    handler.send_error(400)


@pytest.fixture
def server(monkeypatch):
    """Start a server for W&B, which answers as it is told."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    server.daemon_threads = True
    server.asked, server.answer = 0, garbage
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("nlp/mt", "logger.project=nlp/mt: .*'/'"),
        ("a#b", "logger.project=a#b: .*'#'"),
        ("50%", "logger.project=50%: .*'%'"),
        ("p" * 129, "logger.project=ppp.* 128 characters"),
        ("", "logger.project is empty"),
        ("  ", "logger.project is empty"),
    ],
)
def test_a_project_that_wandb_refuses_is_refused_first(project, says):
    with pytest.raises(UserError, match=says) as caught:
        check_tracker(LoggerConfig(project=project))
    assert "\n" not in str(caught.value)
    check_tracker(LoggerConfig("tensorboard", project=project))


@pytest.mark.parametrize("project", ["minitx", "nlp-mt", "Übersetzung", "a b.c", "x" * 128])
def test_other_projects_are_accepted(project):
    check_tracker(LoggerConfig(project=project))


def test_a_refused_project_is_one_line_and_no_folder(script, tiny, tmp_path):
    answer = script(
        "train", *tiny, f"run.dir={tmp_path / 'run'}", "logger=wandb", "logger.project=nlp/mt"
    )
    assert answer.status == 1
    assert re.fullmatch(r"error: logger\.project=nlp/mt: [^\n]+\n", answer.err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("place", "failure"),
    [
        ("wandb.init", OSError(28, "No space left on device")),
        ("wandb.init", TypeError("init() got an unexpected keyword argument 'reinit'")),
        ("wandb.sdk.wandb_run.Run.log", RuntimeError("two\nlines")),
        ("wandb.sdk.wandb_run.Run.define_metric", AttributeError("no such thing")),
        ("wandb.Table", PermissionError(13, "Permission denied")),
        ("wandb.sdk.wandb_run.Run.log_artifact", OSError(28, "No space left on device")),
        ("wandb.sdk.wandb_run.Run.finish", SystemExit(3)),
    ],
)
def test_whatever_wandb_raises_is_one_line(place, failure, reports, monkeypatch, tmp_path):
    monkeypatch.setattr(place, raising(failure))
    (line,) = reports("logger=wandb")
    said = "exit status 3" if isinstance(failure, SystemExit) else " ".join(str(failure).split())
    assert line == (
        f"W&B failed ({said}): the run goes on without it; "
        f"{tmp_path / 'run' / 'metrics.csv'} has every metric"
    )


@pytest.mark.parametrize("variable", ["WANDB_MODE", "WANDB_BASE_URL"])
def test_settings_in_the_environment_that_wandb_refuses_are_one_line(
    variable, reports, monkeypatch
):
    monkeypatch.setenv(variable, "nonsense")
    (line,) = reports("logger=wandb")
    assert re.match(r"W&B failed \(1 validation error for Settings .*nonsense", line)


def test_a_wandb_that_cannot_be_imported_is_one_line(reports, monkeypatch):
    monkeypatch.setitem(trackers.sys.modules, "wandb", None)
    (line,) = reports("logger=wandb")
    assert line.startswith("W&B failed (import of wandb halted")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_wandb_process_that_dies_or_hangs(number, reports, monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, "PATIENCE", 3.0)
    monkeypatch.setattr(trackers, "LEAVING", 1.0)
    log, processes = Tracker.log_metrics, []

    def log_metrics(self, metrics, step=None):
        if step == 3 and not processes:
            processes.append(wandb_setup.singleton()._connection._proc._process)
            os.kill(processes[0].pid, number)
            time.sleep(0.2)
        log(self, metrics, step)

    monkeypatch.setattr(Tracker, "log_metrics", log_metrics)
    try:
        (line,) = reports("logger=wandb")
    finally:
        processes[0].kill()
    assert re.match(r"W&B failed \((Connection lost|no answer within 3 seconds)\): ", line)
    monkeypatch.undo()
    assert reports("logger=wandb", name="next") == []
    assert wandb_run(tmp_path / "next")["exit"] == 0


@pytest.mark.parametrize("token", ["3-1-unix-/dev/null/nowhere", "3-1-tcp-localhost-9", "nonsense"])
def test_a_wandb_process_that_is_gone_before_the_run_is_left_for_another(
    token, reports, monkeypatch, tmp_path
):
    """Its address is in the environment, for example from a process that started this one."""
    monkeypatch.setenv("WANDB_SERVICE", token)
    (line,) = reports("logger=wandb")
    assert line.startswith("W&B failed (")
    assert reports("logger=wandb", name="next") == []
    assert wandb_run(tmp_path / "next")["exit"] == 0


KILLED = """
import os, signal, sys
from minitx.commands.start import main
from minitx.training.trackers import Tracker
from wandb.sdk import wandb_setup

log = Tracker.log_metrics

def log_metrics(self, metrics, step=None):
    if step == 3:
        os.kill(wandb_setup.singleton()._connection._proc._process.pid, signal.SIGKILL)
    log(self, metrics, step)

Tracker.log_metrics = log_metrics
main("train")
"""


def test_a_dead_wandb_process_prints_no_traceback_when_the_run_ends(tiny, tmp_path):
    folder = tmp_path / "run"
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    ended = WARM.run(script, *tiny, "logger=wandb", f"run.dir={folder}", timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(re.findall("^W&B failed .*", ended.stderr, flags=re.M)) == 1
    assert list(rows(folder)) == list(range(1, 11))


def test_wandb_gets_a_temporary_folder_in_place_of_one_it_cannot_write(
    reports, monkeypatch, tmp_path
):
    for name in ("CACHE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", "/dev/null/nowhere")  # not even root can make it
    assert reports("logger=wandb") == []
    found = wandb_run(tmp_path / "run")
    assert sum("sample/path" in row for row in found["history"]) == 2


def test_no_folder_for_temporary_files(reports, monkeypatch):
    missing = FileNotFoundError(2, "No usable temporary directory found")
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "gettempdir", raising(missing))
        (line,) = reports("logger=wandb")
    assert line.startswith("W&B failed ([Errno 2] No usable temporary directory found): ")


@pytest.mark.parametrize("answer", [garbage, slow, error])
def test_a_server_that_answers_badly_is_refused_first(answer, server, train, tmp_path):
    server.answer = answer
    with pytest.raises(UserError, match=r"logger\.mode=online: .*logger\.mode=offline") as caught:
        train(f"run.dir={tmp_path / 'run'}", *ONLINE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert server.asked


@pytest.mark.parametrize("answer", [garbage, slow, error])
def test_a_server_that_breaks_later_leaves_an_offline_run(
    answer, server, reports, monkeypatch, tmp_path
):
    server.answer = answer
    monkeypatch.setattr(checks, "_check_login", lambda: None)  # it worked then
    monkeypatch.setattr(wandb_runs, "OPENING", 2.0)
    monkeypatch.setattr(trackers, "LEAVING", 1.0)
    lines = reports(*ONLINE)
    assert len(lines) == 1, lines
    (line,) = lines
    assert re.match(r"W&B is offline \(.+\): `wandb sync` uploads the run later; ", line)
    assert server.asked
    found = wandb_run(tmp_path / "run")
    assert found["exit"] == 0
    assert {row["trainer/global_step"] for row in found["history"] if "lr" in row} == set(
        range(1, 11)
    )


def test_wandb_is_not_waited_for_without_end(reports, monkeypatch):
    """As with a server that never takes the last upload."""
    monkeypatch.setattr(trackers, "PATIENCE", 2.0)
    monkeypatch.setattr("wandb.sdk.wandb_run.Run.finish", lambda *args, **kwargs: time.sleep(60))
    began = time.monotonic()
    (line,) = reports("logger=wandb")
    assert line.startswith("W&B failed (no answer within 2 seconds): ")
    assert time.monotonic() - began < 50


@pytest.mark.parametrize("written", [0, 5])
def test_tensorboard_on_a_full_disk(written, reports, monkeypatch):
    """Its events are written in a thread, whose error reaches the run with a later event."""
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(RecordWriter, "write", raising(full, after=written))
    (line,) = reports("logger=tensorboard")
    assert line.startswith("TensorBoard failed ([Errno 28] No space left on device): ")


def test_tensorboard_without_a_folder(reports, monkeypatch):
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", raising(denied))
    (line,) = reports("logger=tensorboard")
    assert line.startswith("TensorBoard failed ([Errno 13] Permission denied): ")


def test_the_checkpoint_is_written_before_the_sample(train, tmp_path, monkeypatch):
    kept = []

    def append(path, text):
        if path.name == "samples.txt":
            kept.append((checkpoint(path.parent, "last")["global_step"], text.split()[2]))
        append_whole(path, text)

    monkeypatch.setattr(outputs, "append_whole", append)
    train(f"run.dir={tmp_path / 'run'}")
    assert kept == [(5, "5"), (10, "10")]


@pytest.mark.parametrize("ema", ["null", "0.9"])
def test_a_run_killed_between_checkpoint_and_sample_loses_neither(
    ema, train, tmp_path, monkeypatch
):
    words = [f"optimizer.ema={ema}"]
    train(f"run.dir={tmp_path / 'whole'}", *words)
    with monkeypatch.context() as patch:
        patch.setattr(outputs.WriteSamples, "_write", raising(KeyError(), after=2))
        with pytest.raises(KeyError):
            train(f"run.dir={tmp_path / 'run'}", *words)
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 5
    assert not (tmp_path / "run" / "samples.txt").exists()
    train(f"resume={tmp_path / 'run'}")
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_an_action_that_takes_too_long_is_abandoned():
    assert within(5, lambda: 3) == 3
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 seconds"):
        within(0.1, lambda: time.sleep(2))
    with pytest.raises(TimeoutError, match="its own"):
        within(5, raising(TimeoutError("its own")))


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (ValueError(" a\n\tb  c "), "a b c"),
        (ValueError(), "ValueError"),
        (ValueError("word " * 200), "word " * 59 + "..."),
    ],
)
def test_a_reason_is_one_short_line(failure, line):
    assert reason(failure) == line
