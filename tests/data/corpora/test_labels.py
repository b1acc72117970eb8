"""Test the corpora with labels."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from minitx.data.corpora.labels import Example, LabelCorpus, genre, label_file, sst2, trec
from minitx.data.corpora.plays import play_files, speeches
from minitx.errors import UserError

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")


def examples(corpus: LabelCorpus, split: str) -> list[Example]:
    return list(corpus.splits[split]())


@pytest.fixture(scope="module")
def plays() -> LabelCorpus:
    return genre()


def test_speeches_are_what_is_said() -> None:
    hamlet = next(file for file in play_files() if file.stem == "hamlet").read_text("utf-8")
    said = list(speeches(hamlet))
    assert [text for _, text in said[:2]] == [
        "Who's there?",
        "Nay, answer me: stand, and unfold yourself.",
    ]
    assert len({scene for scene, _ in said}) == 20  # the scenes of Hamlet
    assert any(text.startswith("To be, or not to be: that is the question: ") for _, text in said)


def test_no_name_direction_or_markup_is_left_in_a_speech(plays: LabelCorpus) -> None:
    for split in plays.splits:
        text = "\n".join(example.text for example in examples(plays, split))
        assert not set(text) & set("*_#[]\\\t")
        assert "  " not in text
        assert not re.search("^(HAMLET|FALSTAFF|ACT|SCENE|Enter [A-Z])", text, flags=re.M)


def test_speeches_have_their_plays_genre(plays: LabelCorpus) -> None:
    labels = ("comedies", "histories", "problems", "roman", "romances", "tragedies")
    assert plays.labels == labels
    assert plays.counts == {"train": 19_590, "val": 1_459, "test": 1_102}
    found = dict(e for split in plays.splits for e in examples(plays, split))
    to_be = next(text for text in found if text.startswith("To be, or not to be: that is"))
    assert found[to_be] == "tragedies"
    assert min(len(text.split()) for text in found) == 8


def test_a_scene_of_every_play_is_held_out_whole(plays: LabelCorpus) -> None:
    place = {}
    for file in play_files():
        for scene, text in speeches(file.read_text("utf-8")):
            place.setdefault(text, set()).add((file.stem, scene))
    scenes = {
        # A text said in two scenes tells nothing about the split.
        split: {s for e in examples(plays, split) if len(place[e.text]) == 1 for s in place[e.text]}
        for split in plays.splits
    }
    for split in ("val", "test"):
        assert len(scenes[split]) == len({play for play, _ in scenes[split]}) == 38
        assert not scenes["train"] & scenes[split]
    assert not scenes["val"] & scenes["test"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_genre_is_in_every_split(plays: LabelCorpus, split: str) -> None:
    counts = Counter(example.label for example in examples(plays, split))
    assert set(counts) == set(plays.labels)
    assert max(counts.values()) < 0.31 * sum(counts.values())


@needs_shared
def test_sst2_is_the_usual() -> None:
    corpus = sst2(SHARED)
    assert corpus.labels == ("negative", "positive")
    assert corpus.counts == {"train": 6_920, "val": 872, "test": 1_821}
    assert examples(corpus, "val")[0] == Example("one long string of cliches .", "negative")
    assert Counter(e.label for e in examples(corpus, "test"))["positive"] == 909


@needs_shared
def test_trec_holds_a_tenth_out() -> None:
    corpus = trec(SHARED)
    assert sum(corpus.counts.values()) == 5_452 + 500
    assert corpus.counts["test"] == 500
    assert 0.08 < corpus.counts["val"] / 5_452 < 0.12
    assert Example("Who was Galileo ?", "human") in examples(corpus, "test")
    assert Example("How far is it from Denver to Aspen ?", "number") in examples(corpus, "test")
    train, val = ({e.text for e in examples(corpus, split)} for split in ("train", "val"))
    assert not train & val


def test_well_known_sets_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # the hub is for test_hub.py
    with pytest.raises(UserError, match=r"sst2/ with train\.tsv, dev\.tsv, test\.tsv, from .*dir="):
        sst2(None)
    with pytest.raises(UserError, match=r"trec/ with train\.tsv, test\.tsv, from .*data\.dir="):
        trec(tmp_path)


def test_a_label_that_is_not_in_the_set_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trec").mkdir()
    for name in ("train", "test"):
        (tmp_path / "trec" / f"{name}.tsv").write_text("0\tWhat ?\n6\tWhy ?\n")
    with pytest.raises(UserError, match=r"train\.tsv, line 2: the label '6' is not one of 0, 1"):
        _ = trec(tmp_path).fingerprint


def labelled(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_users_labels_are_found(tmp_path: Path) -> None:
    lines = [f"{'good' if n % 3 else 'bad'}\ttext {n}" for n in range(300)]
    corpus = label_file(labelled(tmp_path / "a.tsv", lines), 0.1)
    assert corpus.labels == ("bad", "good")
    found = {e for split in corpus.splits for e in examples(corpus, split)}
    assert found == {Example(f"text {n}", "good" if n % 3 else "bad") for n in range(300)}


def test_one_label_is_an_error(tmp_path: Path) -> None:
    path = labelled(tmp_path / "a.tsv", [f"x\ttext {n}" for n in range(100)])
    with pytest.raises(UserError, match=r"a\.tsv trains on 1 label: give two or more"):
        label_file(path, 0.1)


def test_a_label_missing_from_train_is_an_error(tmp_path: Path) -> None:
    lines = [f"{n % 2}\ttext {n}" for n in range(100)]
    corpus = label_file(labelled(tmp_path / "a.tsv", lines), 0.2)
    held_out = examples(corpus, "val")[0].text
    odd = [f"odd\t{held_out}" if line.endswith(f"\t{held_out}") else line for line in lines]
    with pytest.raises(UserError, match=r"a\.tsv: 'odd' is a label in val but not in train"):
        label_file(labelled(tmp_path / "a.tsv", odd), 0.2)


def test_the_order_of_labels_is_in_the_fingerprint() -> None:
    splits = {"train": lambda: iter([Example("a", "x"), Example("b", "y")])}
    orders = [LabelCorpus("any", splits, labels) for labels in (("x", "y"), ("y", "x"))]
    assert orders[0].fingerprint != orders[1].fingerprint
