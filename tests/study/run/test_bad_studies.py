"""Test that a study that cannot be done is refused in one line, before anything is trained."""

from pathlib import Path

import pytest

BAD = {
    "no arms": ({"arms": {}}, [], ["nothing to compare", "study.arms"]),
    "no values": ({"grid": {"model.heads": []}}, [], ["model.heads", "no values"]),
    "no seeds": ({"quick": {"seeds": []}}, [], ["study.quick.seeds"]),
    "a seed twice": ({"quick": {"seeds": [1, 1]}}, [], ["each seed once"]),
    "an unknown model": ({"arms": {"a": ["model=transfomer"]}}, [], ["did you mean transformer"]),
    "an unknown key": ({"grid": {"model.haeds": [1]}}, [], ["model.haeds"]),
    "words that are none": ({"arms": {"a": "model"}}, [], ["study.arms.a", "write a list"]),
    "no width": ({"parameters": 10}, [], ["budget.parameters=10", "2%"]),
    "heads": (
        {"arms": {"a": ["model=transformer"]}, "grid": {"model.heads": [5]}, "match": False},
        [],
        ["model.heads=5", "divide"],
    ),
    "a task that does not suit": ({"tasks": ["recall"]}, [], ["task=text", "recall"]),
    "values that are no values": (
        {"grid": {"model.heads": [[1, 2]]}},
        [],
        ["model.heads has the value [1, 2]", "null"],
    ),
    "a sweep of speeds": ({"measures": "speed"}, [], ["study.sweep", "speed"]),
    "a section that does not suit": ({"sections": ["recall"]}, [], ["task=text", "recall"]),
    "an unknown section": ({"sections": ["qality"]}, [], ["qality", "quality"]),
    "an unknown study": ({}, ["study=architecture"], ["architectures"]),
    "an axis more": (
        {},
        ["study.quick.grid={model.heads:[1,2]}"],
        ["has no model.heads", "++study.quick.grid={model.heads:"],
    ),
    "a model for all": ({}, ["model=lstm"], ["model=lstm", "arms"]),
    "a seed for all": ({}, ["seed=3"], ["seed=3", "seeds"]),
    "a folder that cannot be": ({}, ["study.runs=/dev/null/runs"], ["study.runs=/dev/null/runs"]),
    "a grid that is hidden": (
        {"quick": {"seeds": [1], "grid": {"model.layers": [1]}}},
        ["++study.grid={model.layers:[2]}"],
        ["preset=quick uses its own grid", "++study.quick.grid="],
    ),
    "a tracker that is not there": ({}, ["logger.mode=online", "logger.name=wandb"], ["W&B key"]),
    "a folder for all": ({}, ["run.dir=x"], ["run.dir"]),
    "a report of nothing": ({}, ["report_only=true"], ["study", "no study"]),
    "an arm that is not there": (
        {},
        ["~study.arms.lstmm"],
        ["the study has no arm lstmm", "transformer", "did you mean lstm?"],
    ),
    "another part left out": ({}, ["~study.grid"], ["~study.grid: only an arm of a study can be"]),
    "every arm left out": ({"arms": {"a": []}}, ["~study.arms.a"], ["nothing to compare"]),
    "a run that is not planned": ({}, ["only=abc"], ["study.json"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_trains_nothing(compare, name):
    study, asked, said = BAD[name]
    answer = compare(*asked, **study)
    assert answer.status == 1
    lines = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, answer.err
    assert all(part in lines[0] for part in said), lines[0]
    assert not list(Path("studies").glob("runs/*/checkpoints"))


def test_a_study_of_another_version_is_refused(compare):
    Path("study").mkdir()
    Path("study/study.json").write_text('{"format": 0}')
    answer = compare()
    assert answer.status == 1
    assert "another version" in answer.err
    assert not list(Path("studies").glob("runs/*/checkpoints"))
