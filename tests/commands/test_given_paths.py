"""Test that runs and studies are found from every folder, however their paths were given."""

import gzip
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from tiny_runs import TINY, compose

import minitx
from minitx.commands.completion import complete_line, with_full_folders
from minitx.commands.quoting import quoted
from minitx.commands.table import COMMANDS
from minitx.config.schema import StudyConfig
from minitx.data.corpora.labels import label_file
from minitx.data.corpora.pairs import pair_file
from minitx.data.corpora.text import text_file as plain_text
from minitx.errors import UserError
from minitx.runs.paths import check_output
from minitx.study.plan.manifest import Manifest, read_manifest, write_manifest
from minitx.study.plan.planner import Planner


@pytest.fixture
def folders(tmp_path, monkeypatch, text_file):
    """Two folders, of which the first is the working folder and has a text. Home is above both."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    shutil.copy(text_file, tmp_path / "a" / "t.txt")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "a")
    return tmp_path / "a", tmp_path / "b"


def stored(folder):
    """The config in a run's folder."""
    return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))


def test_a_run_is_found_from_another_folder(folders, script, monkeypatch):
    a, b = folders
    words = ["data.path=t.txt", "data.cache_dir=./cache", "run.dir=../a/runs//x"]
    assert script("train", *TINY, *words).status == 0
    run = a / "runs" / "x"
    assert stored(run)["data"]["path"] == str(a / "t.txt")
    assert stored(run)["data"]["cache_dir"] == str(a / "cache")
    assert stored(run)["run"]["dir"] == str(run)
    monkeypatch.chdir(b)
    for typed in (run, "~/a/runs/x", "../a/runs/x"):
        answer = script("evaluate", f"run={typed}", "split=test")
        assert answer.status == 0, answer.err
        assert f"{run}/evaluation_test.json" in answer.out
    answer = script("generate", f"run={run}", "prompt=the", "length=5")
    assert answer.status == 0, answer.err
    answer = script("train", f"resume={run}", "trainer.max_steps=15")
    assert answer.status == 0, answer.err
    assert minitx.load(run, last=True).step == 15
    assert not list(b.iterdir())
    (a / "t.txt").unlink()
    answer = script("evaluate", "run=~/a/runs/x")
    assert answer.err == f"error: data.path={a}/t.txt cannot be read: No such file or directory\n"


def test_a_run_stays_when_the_links_to_it_change(folders, script):
    _, b = folders
    (b / "disk").mkdir()
    Path("t.txt").rename(b / "disk" / "t.txt")
    Path("link").symlink_to(b / "disk")
    Path("latest").symlink_to(b / "disk" / "run")  # which does not exist so far
    (b / "disk" / "run").mkdir()
    assert script("train", *TINY, "data.path=link/t.txt", "run.dir=latest").status == 0
    run = b / "disk" / "run"
    assert stored(run)["data"]["path"] == str(b / "disk" / "t.txt")
    Path("link").unlink()
    answer = script("evaluate", "run=latest", "split=test")
    assert answer.status == 0, answer.err
    assert f"{run}/evaluation_test.json" in answer.out


def test_an_old_run_with_relative_paths_opens_as_before(folders, train, monkeypatch):
    a, b = folders
    run = train(f"data.path={a / 't.txt'}", "run.dir=run").folder
    for path in (run / "checkpoints").iterdir():
        checkpoint = torch.load(path, weights_only=True)
        checkpoint["hyper_parameters"]["config"]["data"]["path"] = "t.txt"
        torch.save(checkpoint, path)
    opened = minitx.load("run")
    assert opened.config.data.path == "t.txt"
    assert opened.evaluate("test").metrics["loss"] > 0
    monkeypatch.chdir(b)
    with pytest.raises(UserError, match=rf"^data\.path={b}/t\.txt cannot be read: No such file"):
        minitx.load(run).evaluate()
    assert minitx.load(run).evaluate("test", path="~/a/t.txt").metrics["loss"] > 0


@pytest.mark.usefixtures("_short_samples")
def test_paths_in_python(folders):
    a, _ = folders
    config = compose(*TINY, "data.path=no.txt")
    config.data.path = Path("t.txt")
    config.run.dir = "~/a/run"
    run = minitx.train(config)
    assert run.folder == a / "run"
    assert stored(run.folder)["data"]["path"] == str(a / "t.txt")
    for path in ("run", "~/a/run", Path("run"), Path("run/checkpoints/best.ckpt")):
        assert minitx.load(path).folder == a / "run"
    assert run.evaluate("test", path=Path("t.txt"), cache_dir="~/cache").metrics["loss"] > 0
    with pytest.raises(UserError, match=f"^run={a}/nowhere does not exist"):
        minitx.load("nowhere")


def test_a_path_in_a_yaml_file_is_completed(folders, script):
    a, _ = folders
    (a / "conf" / "experiment").mkdir(parents=True)
    (a / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndata:\n  path: ~/b/t.txt\n", encoding="utf-8"
    )
    words = ["--config-dir=~/a/conf", "experiment=mine", *TINY]
    answer = script("train", *words)
    there = a.parent / "b" / "t.txt"
    assert answer.err == f"error: data.path={there} cannot be read: No such file or directory\n"
    assert with_full_folders(["-cd", "~/a", "x=~/a"]) == ["-cd", str(a), "x=~/a"]


@pytest.mark.parametrize(
    ("words", "said"),
    {
        "data.path=": "data.path= is empty: give a path, or leave data.path out",
        "resume=": "resume= is empty: give a path, or leave resume out",
        "data.path=???": "data.path=???: ??? is a missing value to Hydra",
        "data.path=./???": "/a/??? cannot be read: No such file",
        f"run.dir={300 * 'a'}": "File name too long",
        "data.path=a[b],{c}=d.txt": "/a/a[b],{c}=d.txt cannot be read: No such file",
        "data.path=a\nb.txt": r"/a/a\nb.txt cannot be read: No such file",
        "data.path=loop": "/a/loop cannot be read: Too many levels of symbolic links",
        "data.path=~nobody-of-this-name": "/a/~nobody-of-this-name cannot be read",
    }.items(),
)
def test_an_impossible_path_is_one_line(words, said, folders, script):
    a, _ = folders
    Path("loop").symlink_to("loop")
    answer = script("train", *TINY, words)
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err
    assert sorted(path.name for path in a.iterdir()) == ["loop", "t.txt"]


@pytest.mark.parametrize("target", ["nothing", "/nowhere/at/all", "link"])
def test_an_output_that_is_a_link_to_nothing_is_not_written(target, folders):
    Path("link").symlink_to(target)
    with pytest.raises(UserError, match="output=link already exists: choose another name"):
        check_output("link")


def test_a_planned_run_and_a_study_are_found_from_another_folder(folders, monkeypatch):
    a, b = folders
    arms = {"one": ["model=lstm", "model.dim=16", "model.layers=1", "model.context=16"]}
    words = ['data.path="t.txt"', '+data.cache_dir="~/it\'s"', "data.batch_size=8"]
    study = StudyConfig(name="s", arms=arms, settings=words, match=False)
    planner = Planner(compose(*TINY).task, study)
    run = planner.run(planner.points[0], planner.choices[0], 1)
    monkeypatch.chdir(b)
    config = compose(*run.words)
    assert config.data.path == str(a / "t.txt")
    assert config.data.cache_dir == str(a.parent / "it's")
    study.dir, study.runs = "~/studies/s", "~/studies/runs"
    write_manifest(a / "s", Manifest(study, "text", "quick", "bpb", "", [run]))
    assert read_manifest(a / "s").run(run.key) == run


def test_study_folders_are_full_paths(folders, script):
    a, _ = folders
    answer = script("compare", "study=heads", "study.dir=studies/../x", "report_only=true")
    assert answer.err == f"error: {a}/x holds no study: there is no study.json\n"


def test_suffixes_may_be_in_capitals(folders):
    for name in ("UP.TSV", "Up.Tsv"):
        Path(name).write_text("".join(f"w{n}\tv{n}\n" for n in range(100)), encoding="utf-8")
        counts = pair_file(Path(name), 0.1).counts
        assert sum(counts.values()) == 100
        Path(f"{name}.GZ").write_bytes(gzip.compress(Path(name).read_bytes()))
        assert pair_file(Path(f"{name}.GZ"), 0.1).counts == counts
    plain = plain_text(Path("t.txt"), 0.1)
    Path("T.TXT.GZ").write_bytes(gzip.compress(Path("t.txt").read_bytes()))
    assert plain_text(Path("T.TXT.GZ"), 0.1).fingerprint == plain.fingerprint
    lines = "".join(f'{{"label": "{n % 2}", "text": "t{n}"}}\n' for n in range(100))
    Path("X.JSONL").write_text(lines, encoding="utf-8")
    assert label_file(Path("X.JSONL"), 0.1).labels == ("0", "1")


def test_completion_looks_into_the_home_folder(folders):
    command = COMMANDS["evaluate"]
    assert complete_line("python evaluate.py run=~/", command) == ["run=~/a/", "run=~/b/"]
    assert quoted("other=a, b") == 'other="a, b"'
