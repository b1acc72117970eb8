"""Test that the commands of the wheel work in a folder without a checkout."""

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from minitx.config.keys import CONF

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without a network from a copy of its sources."""
    pytest.importorskip("setuptools", "77")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("minitx", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = [
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        source / "dist",
        source,
    ]
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True, timeout=200)
    (file,) = (source / "dist").glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder for PYTHONPATH with the wheel in it, and its console script."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    (points,) = folder.glob("*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser()
    parser.read(points)
    module, _, function = parser["console_scripts"]["minitx"].partition(":")
    source = f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n"
    (folder / "console_script").write_text(source, encoding="utf-8")
    return folder


@pytest.fixture
def minitx(installed, tmp_path, monkeypatch):
    """Runs the wheel's `minitx` from an empty folder."""
    here = tmp_path / "empty"
    here.mkdir()
    monkeypatch.chdir(here)

    def minitx(*words):
        return subprocess.run(
            [sys.executable, installed / "console_script", *map(str, words)],
            env=os.environ | {"PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    return minitx


def test_every_file_that_is_read_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    expected = {f"minitx/conf/{path.relative_to(CONF)}" for path in CONF.rglob("*.yaml")}
    web = (path for path in (ROOT / "minitx").glob("**/web/**/*") if path.is_file())
    expected |= {str(path.relative_to(ROOT)) for path in web}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "minitx").rglob("*.py")}
    assert expected <= names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"minitx"}


def test_help_without_a_checkout(minitx):
    assert "  minitx compare " in minitx("--help").stdout
    page = minitx("compare", "--help").stdout
    assert "minitx compare study=architectures" in page
    assert "architectures" in page.split("Choices")[1]


def test_a_bad_key_without_a_checkout(minitx):
    answer = minitx("train", "model.head=8")
    assert answer.returncode == 1
    assert answer.stderr == "error: there is no key model.head: did you mean model.heads?\n"


def test_a_training_without_a_checkout(minitx, text_file):
    small = ["model.dim=16", "model.layers=1", "model.context=16", "data.batch_size=8"]
    steps = ["trainer.max_steps=4", "trainer.val_every=2", "optimizer.warmup_steps=0"]
    quiet = ["logger=csv", "trainer.watch_attention=false"]
    corpus = ["task=text", f"data.path={text_file}"]
    answer = minitx("train", *corpus, *small, *steps, *quiet)
    assert answer.returncode == 0, answer.stderr
    (folder,) = Path("runs").iterdir()
    assert (folder / "checkpoints" / "best.ckpt").exists()
    assert f"minitx evaluate run={folder} split=val" in answer.stdout


def test_own_config_files_win_without_a_checkout(minitx):
    Path("mine/model").mkdir(parents=True)
    own = "defaults: [transformer_schema, _self_]\nname: transformer\ndim: 48\n"
    Path("mine/model/transformer.yaml").write_text(own, encoding="utf-8")
    answer = minitx("train", "--config-dir", "mine", "--cfg", "job")
    assert answer.returncode == 0, answer.stderr
    assert "dim: 48" in answer.stdout
