"""Fixtures for tests of whole runs: no network, no traces, tiny runs, scripts called in-process.

Importing torch and Lightning takes seconds, so scripts run inside pytest's own process wherever a
process of their own is not what is tested.
"""

import os
import random
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from composing import compose_once
from tiny_runs import TINY, compose

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; tiny models want no more

ROOT = Path(__file__).resolve().parents[1]
MOST_WORKERS = 8  # each holds torch and Lightning, some 600 MB


def pytest_xdist_auto_num_workers(config):
    """The whole suite takes every core; tests that are named start at once, in this process."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return min(os.cpu_count() or 1, MOST_WORKERS) if whole else 0


def pytest_collection_modifyitems(items):
    """What takes longest starts first: at the end, the other cores would wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def _alone(tmp_path_factory):
    """Caches, runs and W&B stay in a folder of this session, and nothing is sent anywhere."""
    place = tmp_path_factory.mktemp("session")
    before = Path.cwd(), dict(os.environ)
    os.environ |= {
        "MINITX_CACHE": str(place / "cache"),
        "WANDB_BASE_URL": "http://127.0.0.1:9",  # nobody answers there
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CONFIG_DIR": str(place / "wandb_config"),
        "WANDB_CACHE_DIR": str(place / "wandb_cache"),
        "WANDB_DATA_DIR": str(place / "wandb_data"),
        "NETRC": str(place / "no_netrc"),
    }
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MINITX_RUN_DIR"):
        os.environ.pop(name, None)
    os.chdir(place)
    yield
    os.chdir(before[0])
    os.environ.clear()
    os.environ |= before[1]


@pytest.fixture(scope="session", autouse=True)
def _composed_once():
    """Most of a tiny run would be Hydra's work on the same files."""
    with pytest.MonkeyPatch.context() as patch:
        compose_once(patch)
        yield


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Work that is slow on a slow machine is not announced, except in the tests of that."""
    monkeypatch.setattr("minitx.data.progress.QUIET_SECONDS", 3600)


@pytest.fixture(autouse=True)
def _seeded():
    """Torch's random numbers on the CPU start afresh in every test."""
    if "torch" in sys.modules:  # most tests import it; those that do not need not wait for it
        sys.modules["torch"].default_generator.manual_seed(0)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory):
    """A text of 40 kB with words, lines and speakers: a small model learns it in seconds."""
    draw = random.Random(0)
    words = [
        "the",
        "king",
        "of",
        "men",
        "and",
        "his",
        "brother",
        "love",
        "to",
        "speak",
        "no",
        "more",
    ]
    lines = []
    while sum(map(len, lines)) < 40_000:
        speaker = draw.choice(["ROMEO", "JULIET", "NURSE"])
        lines.append(f"{speaker}:\n{' '.join(draw.choices(words, k=draw.randint(4, 9)))}.\n\n")
    path = tmp_path_factory.mktemp("text") / "play.txt"
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(text_file):
    """The command line of a run of about a second; later keys win over these."""
    return [*TINY, f"data.path={text_file}"]


@pytest.fixture(scope="session")
def _short_samples():
    """Samples of 20 tokens: to write the usual 200 takes as long as to train the tiny model."""
    from minitx.tasks import language_modeling

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_modeling, "SAMPLE", 20)
        yield


@pytest.fixture(scope="session")
def train(tiny, _short_samples):
    """Trains a tiny run as the command line says, `resume=` too, and opens it."""
    from minitx.config.compose import resumed
    from minitx.training.train import train as train_run

    def train(*overrides):
        words = [str(override) for override in overrides]
        if any(word.startswith("resume=") for word in words):
            return train_run(resumed(compose(*words), words))
        return train_run(compose(*tiny, *words))

    return train


class Answer(NamedTuple):
    """What a script left behind: its exit status and what it wrote."""

    status: int
    out: str
    err: str


@pytest.fixture
def script(_short_samples, monkeypatch, capsys):
    """Runs scripts/<name>.py in this process with a command line."""
    from hydra.core.global_hydra import GlobalHydra

    def script(name, *arguments):
        path = str(ROOT / "scripts" / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        GlobalHydra.instance().clear()
        capsys.readouterr()
        status = 0
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            status = end.code or 0
        finally:
            os.environ.pop("FORCE_COLOR", None)  # of bench.py, for this process alone
        return Answer(status, *capsys.readouterr())

    return script


@pytest.fixture(scope="module")
def browser():
    """A real browser, headless, driven by playwright."""
    from browsers import CHROMIUM, NAMES
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, f"no Chromium on the path under any of {', '.join(NAMES)}"
    with sync_playwright() as playwright:
        # Inside a container, the sandbox needs rights that a test does not have.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
