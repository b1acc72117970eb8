"""Test the maps of a training that are kept in small."""

import base64
import json
import math
from itertools import pairwise

import pytest
import torch
from made_maps import encoder, language_model, translation, words

from minitx.errors import UserError
from minitx.inspection import history
from minitx.inspection.head_names import measured_heads
from minitx.inspection.history import add_frame, read_history
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.weights import AttentionMap


@pytest.fixture
def path(tmp_path):
    return tmp_path / "attention" / "history.json"


def steps(path):
    return [frame.plain["step"] for frame in read_history(path)]


@pytest.mark.parametrize(
    "maps", [language_model(), translation(), encoder(2, 3, ["\n", " a", "<b>"])]
)
def test_a_frame_holds_the_maps_of_its_step(path, maps):
    induction = {maps.maps[0].name: torch.tensor([0.1, 0.9, 0.2])}
    add_frame(path, maps, 5, induction)
    (frame,) = read_history(path)
    assert (frame.plain["step"], frame.plain["text"]) == (5, maps.about.get("text", ""))
    for kept, each, measured in zip(frame.maps, maps.maps, frame.measured, strict=True):
        assert (kept.name, kept.heads) == (each.name, each.heads)
        assert (kept.queries, kept.keys) == (tuple(each.queries), tuple(each.keys))
        assert (kept.weights - each.weights).abs().max() < 0.004
        assert torch.equal(kept.weights == 0, each.weights == 0)
        assert measured == measured_heads(each, induction)


def test_a_long_text_is_cut_but_measured_as_a_whole(path):
    maps = language_model(1, 2, words(100))
    add_frame(path, maps, 1)
    (frame,) = read_history(path)
    (kept,) = frame.maps
    assert kept.weights.shape == (2, 64, 64)
    assert kept.queries == words(64)
    assert frame.plain["tokens"] == 100
    assert frame.measured[0] == measured_heads(maps.maps[0])


def test_long_labels_and_texts_are_cut(path):
    maps = language_model(1, 1, ("x" * 1000, "y"))
    add_frame(path, maps, 1)
    (frame,) = read_history(path)
    assert frame.maps[0].keys == ("x" * 39 + "…", "y")
    assert len(frame.plain["text"]) == 400


def test_many_heads_get_fewer_tokens(path):
    add_frame(path, encoder(12, 12, words(70)), 1)
    (frame,) = read_history(path)
    sizes = {each.weights.shape for each in frame.maps}
    assert sizes == {(12, 28, 28)}
    assert 144 * 28 * 28 <= history.MOST_WEIGHTS < 144 * 29 * 29


def test_a_resumed_run_replaces_what_it_makes_again(path):
    for step in (5, 10, 15):
        add_frame(path, language_model(), step)
    add_frame(path, language_model(), 10)
    assert steps(path) == [5, 10]


def test_the_file_is_bounded_and_keeps_early_steps(path, monkeypatch):
    monkeypatch.setattr(history, "MOST_CHARACTERS", 12_000)
    for number in range(1, 65):
        add_frame(path, language_model(1, 2, words(6)), 100 * number)
        assert path.stat().st_size <= 12_000
    kept = steps(path)
    assert (kept[0], kept[-1]) == (100, 6400)
    assert 8 <= len(kept) <= 40
    # Half of a logarithmic scale is at 800; the validations alone have 56 of 64 steps after it.
    assert sum(step <= 800 for step in kept) >= 0.3 * len(kept)
    gaps = [math.log(after / before) for before, after in pairwise(kept[2:])]
    assert max(gaps) < 0.5


def test_one_frame_that_is_too_large_is_not_written(path, monkeypatch):
    monkeypatch.setattr(history, "MOST_CHARACTERS", 100)
    add_frame(path, language_model(), 5)
    assert not path.exists()


def test_no_file_has_no_frames(path):
    assert read_history(path) == []


def frames_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["frames"]


WRONG = {  # what is written in place of a value of the first frame, and where
    "step": (["step"], "5"),
    "text": (["text"], None),
    "maps": (["maps"], []),
    "labels": (["labels"], 7),
    "no such label": (["maps", 0, "keys"], 9),
    "heads": (["maps", 0, "heads"], []),
    "fewer heads": (["maps", 0, "heads"], [0]),
    "infinite head": (["maps", 0, "heads"], [float("inf"), 1, 2]),
    "bits": (["maps", 0, "bits"], 32),
    "codes": (["maps", 0, "codes"], base64.b64encode(b"short").decode()),
    "no base64": (["maps", 0, "codes"], "!"),
    "measures": (["maps", 0, "measured"], [{"name": "broad"}]),
    "no number": (["maps", 0, "measured", 0, "entropy"], float("nan")),
    "no measures": (["maps", 0, "measured", 0], 3),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_minitx_did_not_write_is_refused_in_one_line(path, case):
    add_frame(path, language_model(), 5)
    frames = frames_of(path)
    (*places, last), value = WRONG[case]
    inner = frames[0]
    for place in places:
        inner = inner[place]
    inner[last] = value
    path.write_text(json.dumps({"frames": frames}), encoding="utf-8")
    with pytest.raises(UserError, match=r"history.json holds no frames .*: delete it$") as raised:
        read_history(path)
    assert "\n" not in str(raised.value)


def test_damage_is_noticed_and_the_next_step_begins_again(path):
    add_frame(path, language_model(), 5)
    content = bytearray(path.read_bytes())
    content[content.index(b"codes") + 12] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"history.json cannot be read .*: delete it"):
        read_history(path)
    add_frame(path, language_model(), 10)
    assert steps(path) == [10]
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"history.json"):
        read_history(path)


def test_names_of_heads_change_as_they_form(path):
    """A head that attends evenly turns into one that attends to the previous token."""
    even = torch.ones(6, 6).tril() / torch.arange(1, 7)[:, None]
    previous = torch.eye(6).roll(-1, dims=1).tril(-1)
    previous[0, 0] = 1
    for step, part in ((1, 0.0), (2, 0.4), (4, 1.0)):
        weights = ((1 - part) * even + part * previous)[None]
        each = AttentionMap("decoder.layers.0.self", weights, words(6), words(6), (0,))
        add_frame(path, AttentionMaps((each,), "", {}), step)
    names = [frame.measured[0][0]["name"] for frame in read_history(path)]
    assert names[0] == "broad"
    assert names[-1] == "previous token"
