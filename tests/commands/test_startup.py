"""Test that help and errors do not import torch, and that slow commands print a line first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import LIGHT

from minitx.commands.console import loading

ROOT = Path(__file__).parents[2]
OLD_RUNS = ROOT / "tests" / "old_runs"
TEXT, PAIRS = OLD_RUNS / "language_modeling", OLD_RUNS / "sequence_to_sequence"

# What takes its time to be imported.
HEAVY = {"torch", "lightning", "torchmetrics", "numpy", "pandas", "scipy", "matplotlib"}
HEAVY |= {"wandb", "datasets", "sacrebleu", "tokenizers"}

# (script, what is typed, what must be said; HERE is the working folder)
ERRORS = {
    "missing text": (
        "train",
        ["task=text", "data.path=no.txt"],
        "data.path=HERE/no.txt cannot be read: No such",
    ),
    "no text": ("train", ["task=text"], "task=text needs your file"),
    "missing pairs": (
        "train",
        ["task=pairs", "data.path=no.tsv"],
        "data.path=HERE/no.tsv cannot be read: No such file",
    ),
    "missing targets": (
        "train",
        ["task=pairs", "data.path=here.txt", "data.target_path=no.txt"],
        "data.target_path=HERE/no.txt cannot be read: No such file",
    ),
    "missing labels": (
        "train",
        ["task=labels", "data.path=no.tsv"],
        "data.path=HERE/no.tsv cannot be read: No such file",
    ),
    "missing corpus": ("train", ["task=tiny_shakespeare", "data.dir=."], "tiny_shakespeare/input"),
    "part of a corpus": ("train", ["task=trec", "data.dir=."], "trec/ with test.tsv"),
    "unknown key": ("train", ["modle.dim=8"], "there is no key modle"),
    "key of another task": (
        "train",
        ["data.stress=true"],
        "task=shakespeare does not use this key",
    ),
    "option of another mixer": (
        "train",
        ["model.mixer=gru", "model.heads=8"],
        "has no option heads",
    ),
    "no end": ("train", ["trainer.max_steps=null"], "the run has no limit"),
    "folder exists": ("train", ["run.dir=taken"], "run.dir=HERE/taken already exists"),
    "resumed from nowhere": (
        "train",
        ["resume=nowhere"],
        "resume=HERE/nowhere is not a run's folder",
    ),
    "resumed without a checkpoint": (
        "train",
        ["resume=bare"],
        "resume=HERE/bare: the run has finished, but",
    ),
    "unknown split": ("evaluate", [f"run={TEXT}", "split=valid"], "did you mean val?"),
    "corpus gone": (
        "evaluate",
        [f"run={TEXT}", "data.path=no.txt"],
        "data.path=HERE/no.txt cannot be read: No such file",
    ),
    "no run": ("evaluate", [], "no run given"),
    "missing run": ("evaluate", ["run=nowhere"], "run=HERE/nowhere does not exist"),
    "folder of no run": ("generate", ["run=taken"], "run=HERE/taken holds no checkpoint"),
    "run of another objective": ("generate", [f"run={PAIRS}"], "scripts/translate.py"),
    "empty prompt": ("generate", [f"run={TEXT}", "prompt="], 'prompt="" is empty'),
    "missing input": (
        "translate",
        [f"run={PAIRS}", "input=no.txt"],
        "input=HERE/no.txt cannot be read: No such file",
    ),
    "output exists": (
        "translate",
        [f"run={PAIRS}", "output=here.txt"],
        "output=HERE/here.txt already exists",
    ),
    "missing classifier": ("predict", ["run=nowhere.ckpt"], "run=HERE/nowhere.ckpt does not exist"),
    "no text to inspect": ("inspect_attention", [f"run={TEXT}"], 'text="..."'),
    "no other run": (
        "inspect_attention",
        [f"run={TEXT}", "text=a", "other=x"],
        "other=HERE/x does not exist",
    ),
    "missing run with heads": (
        "head_importance",
        ["run=nowhere"],
        "run=HERE/nowhere does not exist",
    ),
    "head of no run": ("explain", ["head=1"], "head= is for a trained model"),
    "export into a folder": (
        "export",
        [f"run={TEXT}", "to=taken"],
        "to=HERE/taken already exists",
    ),
    "missing study": ("compare", ["study=heads", "report_only=true"], "holds no study"),
    "study of another version": ("compare", ["study=heads", "study.dir=old"], "another version"),
    "unknown section": ("compare", ["study=heads", "study.sections=[cots]"], "did you mean cost?"),
    "study of missing text": (
        "compare",
        ["study=heads", "task=text", "data.path=no.txt"],
        "data.path=HERE/no.txt cannot be read: No such file",
    ),
}


def imported_by(*words):
    """Runs Python with these words; gives its output and the modules that it imported."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"COLUMNS": "200"},
    )
    lines = answer.stderr.splitlines()
    modules = {line.rpartition("|")[2].strip() for line in lines if "import time:" in line}
    said = [line for line in lines if "import time:" not in line]
    return answer, modules, said


@pytest.fixture
def imported_in_a_fork(tmp_path_factory):
    """The same for a script, in a fork of a process that has imported what all scripts need."""

    def run(script, *words):
        modules = tmp_path_factory.mktemp("imported") / "modules"
        path = ROOT / "scripts" / f"{script}.py"
        answer = LIGHT.run(path, *words, env={"COLUMNS": "200"}, modules=modules, timeout=120)
        return answer, set(modules.read_text().split()), answer.stderr.splitlines()

    return run


@pytest.mark.parametrize(
    ("words", "status"), [(["--help"], 0), (["task=text", "data.path=no.txt"], 1)]
)
def test_a_script_that_starts_does_not_import_torch(words, status):
    answer, modules, _ = imported_by(ROOT / "scripts" / "train.py", *words)
    assert answer.returncode == status
    assert "hydra" in modules
    assert not HEAVY & modules


def scripts():
    return [file.stem for file in (ROOT / "scripts").glob("*.py") if file.stem != "bench"]


@pytest.mark.parametrize("name", sorted(scripts()))
def test_help_does_not_wait_for_torch(name, imported_in_a_fork):
    answer, modules, said = imported_in_a_fork(name, "--help")
    assert answer.returncode == 0
    assert "Keys (key=value)" in answer.stdout
    assert said == []
    assert "hydra" in modules  # the list of modules is one
    assert not HEAVY & modules


def test_import_minitx_does_not_import_torch():
    answer, modules, _ = imported_by("-c", "import minitx")
    assert answer.returncode == 0
    assert "minitx" in modules
    assert not {*HEAVY, "hydra"} & modules


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to stand in: a file, a folder, a run and a study that are in the way."""
    monkeypatch.chdir(tmp_path)
    Path("here.txt").write_text("to be\n", encoding="utf-8")
    Path("taken").mkdir()
    Path("taken", "thesis.txt").touch()
    Path("bare").mkdir()
    for name in ("config.yaml", "summary.json"):
        Path("bare", name).write_bytes((TEXT / name).read_bytes())
    Path("old").mkdir()
    Path("old", "study.json").write_text('{"format": 0}', encoding="utf-8")
    Path("trec").mkdir()
    Path("trec", "train.tsv").touch()


@pytest.mark.parametrize("case", ERRORS)
def test_an_early_error_does_not_wait_for_torch(case, here, imported_in_a_fork):
    script, words, part = ERRORS[case]
    answer, modules, said = imported_in_a_fork(script, *words)
    assert answer.returncode == 1
    assert len(said) == 1, said
    assert said[0].startswith("error: ")
    assert part.replace("HERE", str(Path.cwd())) in said[0]
    assert answer.stdout == ""
    assert "hydra" in modules
    assert not HEAVY & modules


@pytest.mark.parametrize(
    ("script", "words", "loaded"),
    [
        ("generate", [f"run={TEXT}", "prompt=a", "length=3"], f"torch and {TEXT}"),
        ("train", ["model.heads=3", "run.dir=run"], "torch and the corpus shakespeare"),
    ],
)
def test_the_first_line_is_there_before_torch(script, words, loaded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer, modules, said = imported_by(ROOT / "scripts" / f"{script}.py", *words)
    assert said[0] == f"loading {loaded} ..."
    before = answer.stderr.partition(said[0])[0]
    assert "torch" in modules
    assert "| hydra" in before
    assert "torch" not in before
    assert "loading" not in answer.stdout


@pytest.mark.parametrize("rank", ["0", "1"])
def test_only_the_first_process_prints_what_is_loading(rank, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, torch.__name__)
    monkeypatch.setenv("LOCAL_RANK", rank)
    with loading("torch and [a run]"):
        pass
    said = "loading torch and [a run] ...\n" if rank == "0" else ""
    assert capsys.readouterr() == ("", said)


def test_nothing_is_printed_if_torch_is_loaded(capsys):
    assert sys.modules["torch"] is torch
    with loading("torch"):
        pass
    assert capsys.readouterr() == ("", "")


USE_A_MODEL = {
    "generate": "minitx.decoding.generate",
    "translate": "minitx.decoding.translation",
    "predict": "minitx.decoding.prediction",
    "explain": "minitx.inspection.explain",
}


@pytest.fixture(scope="module")
def imported_to_use_a_model():
    """The modules after one process has imported what uses a model, by the last import of it."""
    code = """
import importlib, sys
import minitx.commands.console
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(*sys.modules)
"""
    answer, *_ = imported_by("-c", code, *USE_A_MODEL.values())
    return dict(zip(USE_A_MODEL, map(str.split, answer.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", USE_A_MODEL)
def test_what_uses_a_model_does_not_import_what_trains_one(name, imported_to_use_a_model):
    modules = set(imported_to_use_a_model[name])
    assert "torch" in modules
    assert USE_A_MODEL[name] in modules
    unused = {"lightning", "torchmetrics", "sacrebleu", "wandb", "matplotlib", "pandas", "scipy"}
    assert not unused & modules
    assert "torch._dynamo" not in modules  # the compiler, which takes as long as the rest of torch
