"""Test renamed keys: where the old names work, what they print, and when they are errors."""

import json

import pytest

from minitx.config import renames
from minitx.config.compose import compose, from_plain, read_config, to_plain
from minitx.config.keys import keys
from minitx.config.renames import NEW_NAMES, OLD_NAMES, renamed
from minitx.config.schema import MODELS, Config
from minitx.errors import UserError
from minitx.runs.atomic_write import write_yaml
from minitx.study.plan.manifest import MANIFEST, read_manifest

# A value of each old key that is not its default.
VALUES = {
    "data.held_out": 0.1,
    "data.joint": True,
    "data.share": 0.5,
    "model.tied": False,
    "optimizer.final_lr": 0.3,
    "optimizer.matrix_lr": 0.05,
}


@pytest.fixture(autouse=True)
def nothing_printed_yet(monkeypatch):
    monkeypatch.setattr(renames, "_announced", set())


def chosen(config, key):
    group, name = key.split(".")
    return getattr(getattr(config, group), name)


def word(key, value):
    return f"{key}={json.dumps(value)}"


def test_every_new_name_is_a_key_and_no_old_name_is():
    known = {name for model in MODELS.values() for name, _ in keys(Config, model)}
    assert set(NEW_NAMES.values()) <= known
    assert not known & NEW_NAMES.keys()
    assert VALUES.keys() == NEW_NAMES.keys()


@pytest.mark.parametrize("old", NEW_NAMES)
def test_compose_takes_an_old_key_and_prints_its_new_name_once(old, capsys):
    for _ in range(2):
        config = compose(word(old, VALUES[old]))
        assert chosen(config, NEW_NAMES[old]) == VALUES[old]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (f"{old} is now {NEW_NAMES[old]}; the next release drops the old name\n")


def test_an_old_key_may_have_a_plus_and_a_sweep_of_values():
    assert renames.renamed_overrides(["++model.tied=true", "data.share=0.1,0.2", "-m"]) == [
        *("++model.tie_embeddings=true", "data.train_fraction=0.1,0.2", "-m")
    ]


@pytest.mark.parametrize("old", NEW_NAMES)
def test_an_old_key_together_with_its_new_name_is_refused(old, capsys):
    new, value = NEW_NAMES[old], VALUES[old]
    line = f"^{old} is now {new}: give one of the two$"
    with pytest.raises(UserError, match=line):
        compose(word(new, value), word(old, value))
    assert capsys.readouterr().err == ""
    plain = to_plain(compose())
    group, name = old.split(".")
    plain[group][name] = value
    with pytest.raises(UserError, match=line):
        from_plain(plain)


@pytest.mark.parametrize("misspelt", ["data.sharee", "optimizer.final_lrs", "model.tieds"])
def test_a_misspelt_old_key_is_never_answered_with_an_old_name(script, misspelt):
    answer = script("train", f"{misspelt}=1")
    assert answer.status == 1
    assert answer.err.startswith(f"error: there is no key {misspelt}")
    assert not any(f"did you mean {old}?" in answer.err for old in NEW_NAMES)


def test_an_old_key_inside_a_value_is_answered_with_its_new_name(script):
    answer = script("train", "data={share: 0.5}")
    assert (answer.status, answer.err) == (1, "error: data.share is now data.train_fraction\n")


def test_config_files_and_checkpoints_with_old_keys_open_in_silence(tmp_path, capsys):
    config = compose(*(word(NEW_NAMES[old], value) for old, value in VALUES.items()))
    plain = renamed(to_plain(config), OLD_NAMES)
    for old, value in VALUES.items():
        group, name = old.split(".")
        assert plain[group][name] == value
        assert NEW_NAMES[old].split(".")[1] not in plain[group]
    write_yaml(tmp_path / "config.yaml", plain)
    assert from_plain(plain) == read_config(tmp_path / "config.yaml") == config
    assert capsys.readouterr().err == ""


EXPERIMENT = """\
# @package _global_
optimizer: {matrix_lr: 0.05}
data: {share: 0.5}
"""
OPTIMIZER = """\
defaults: [muon]
final_lr: 0.3
"""


def composed_by(script, tmp_path, *words):
    """Return what `minitx train` composes with a folder of the user's own config files."""
    for group, text in (("experiment", EXPERIMENT), ("optimizer", OPTIMIZER)):
        path = tmp_path / group / "mine.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return script("train", "--config-dir", tmp_path, "--cfg", "job", *words)


def test_the_users_files_may_have_old_keys(script, tmp_path):
    answer = composed_by(script, tmp_path, "optimizer=mine", "experiment=mine")
    assert answer.status == 0, answer.err
    for line in ("muon_lr: 0.05", "train_fraction: 0.5", "min_lr_ratio: 0.3"):
        assert f"  {line}\n" in answer.out
    assert answer.err == ""


def test_the_command_line_comes_before_the_users_files(script, tmp_path):
    answer = composed_by(script, tmp_path, "optimizer=mine", "optimizer.final_lr=0.2")
    assert "  min_lr_ratio: 0.2\n" in answer.out
    assert answer.err == (
        "optimizer.final_lr is now optimizer.min_lr_ratio; the next release drops the old name\n"
    )


def test_both_names_on_the_command_line_or_in_a_file_are_one_line(script, tmp_path):
    expected = "error: data.share is now data.train_fraction: give one of the two\n"
    answer = script("train", "data.share=0.5", "data.train_fraction=0.5")
    assert (answer.status, answer.err) == (1, expected)
    both = tmp_path / "experiment" / "both.yaml"
    both.parent.mkdir()
    both.write_text("# @package _global_\ndata: {share: 0.5, train_fraction: 0.5}\n", "utf-8")
    answer = script("train", "--config-dir", tmp_path, "experiment=both")
    assert (answer.status, answer.err) == (1, expected)


def test_help_lists_new_names_only(script):
    page = script("train", "--help").out
    assert all(f"  {new}=" in page for new in NEW_NAMES.values())
    assert not any(f"  {old}=" in page for old in NEW_NAMES)


def test_a_manifest_with_old_keys_is_read_under_the_new_ones(tmp_path):
    run = {
        "key": "a",
        "point": {"arm": "small", "at": {"data.share": 0.1}},
        "rate": {"optimizer.matrix_lr": 0.01},
        "seed": 1,
        "words": ["model.tied=false", "optimizer.matrix_lr=0.01"],
    }
    study = {
        "arms": {"small": ["model.tied=false"]},
        "grid": {"data.share": [0.1]},
        "sweep": {"optimizer.matrix_lr": [0.01]},
        "settings": ["optimizer.final_lr=0"],
    }
    manifest = {
        "format": 1,
        "study": study,
        "task": "text",
        "preset": "quick",
        "measure": "accuracy",
        "command": "",
        "runs": [run],
    }
    (tmp_path / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    found = read_manifest(tmp_path)
    assert found.study.arms == {"small": ["model.tie_embeddings=false"]}
    assert found.study.grid == {"data.train_fraction": [0.1]}
    assert found.study.sweep == {"optimizer.muon_lr": [0.01]}
    assert found.study.settings == ["optimizer.min_lr_ratio=0"]
    assert found.runs[0].point.at == {"data.train_fraction": 0.1}
    assert found.runs[0].swept_values == {"optimizer.muon_lr": 0.01}
    assert found.runs[0].words == ["model.tie_embeddings=false", "optimizer.muon_lr=0.01"]
