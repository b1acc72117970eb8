"""Test which items of a split belong together, for each kind of corpus."""

from pathlib import Path

import numpy as np
import pytest

import minitx
from minitx.data.corpora.labels import genre
from minitx.data.corpora.pairs import cmudict, word_family
from minitx.data.corpora.text import Corpus, shakespeare
from minitx.tasks.clusters import clusters_of, clusters_of_windows

OLD = Path(__file__).resolve().parents[1] / "old_runs"


def test_items_with_a_name_are_a_cluster():
    assert clusters_of(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_a_window_belongs_to_the_part_with_its_middle():
    lengths = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1])  # tokens start at 0, 1, 3, 4, 7, 8, 9, 11, 12
    # Windows of 4 tokens have their middles at tokens 2 and 6, at bytes 3 and 9.
    assert clusters_of_windows(lengths, 4, [4]).tolist() == [0, 1]
    assert clusters_of_windows(lengths, 4, [3]).tolist() == [1, 1]
    assert clusters_of_windows(lengths, 4, [2, 9]).tolist() == [1, 2]
    assert clusters_of_windows(lengths, 4, [0, 10]).tolist() == [1, 1]
    # The last window of three has one target, so that its middle is its beginning.
    assert len(clusters_of_windows(lengths, 7, [11])) == 2
    assert clusters_of_windows(lengths, 7, [11]).tolist() == [0, 1]
    assert clusters_of_windows(lengths, 7, [12]).tolist() == [0, 0]


@pytest.mark.parametrize(("windows", "blocks"), [(1, 1), (8, 4), (1000, 100), (4070, 255)])
def test_a_text_without_parts_has_blocks_of_neighbours(windows, blocks):
    found = clusters_of_windows(np.ones(5 * windows + 1, int), 5, [])
    assert len(found) == windows
    assert (np.diff(found) >= 0).all()
    assert len(np.unique(found)) == pytest.approx(blocks, abs=1)


def test_parts_begin_at_bytes():
    pieces = ["Ünder\nACT I\nSCENE I. A", " hall\nmore\nSCENE", " II\nend SCENE V\nSCENERY\n"]
    corpus = Corpus("play", {"test": lambda: iter(pieces)}, heading=r"^SCENE [IVX]+\b")
    content = "".join(pieces).encode()
    assert [content[start : start + 9] for start in corpus.parts("test")] == [
        b"SCENE I. ",
        b"SCENE II\n",
    ]
    assert Corpus("text", corpus.splits).parts("test") == []


def test_the_scenes_of_shakespeare():
    corpus = shakespeare()
    content = "".join(corpus.splits["test"]()).encode()
    parts = corpus.parts("test")
    assert len(parts) == 15 + 16  # A Winter's Tale and King John
    assert {content[start : start + 6] for start in parts} == {b"SCENE "}
    windows = clusters_of_windows(np.ones(len(content), int), 64, parts)
    assert set(windows) == set(range(1, 32))  # no window is in the title


def test_words_of_a_family():
    families = [
        ("abandon", "abandons", "abandon's", "abandoned", "abandoning"),
        ("cat", "cats", "cat's", "cats'"),
        ("branded", "brandon"),  # not related, but alike
    ]
    for words in families:
        assert len(set(map(word_family, words))) == 1
    assert len({word_family(each[0]) for each in families}) == 3
    assert word_family("s") == ""
    corpus = cmudict()
    pair = next(corpus.splits["test"]())
    assert corpus.family(pair) == word_family(pair.source)


def test_speeches_of_a_scene():
    """In each play, one scene is held out for test."""
    corpus = genre()
    clusters = clusters_of([corpus.family(each) for each in corpus.splits["test"]()])
    assert len(np.unique(clusters)) == 38
    assert len(clusters) > 1000


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("language_modeling", "play.txt"),
        ("sequence_to_sequence", "pairs.tsv"),
        ("classification", "labels.jsonl"),
    ],
)
def test_every_item_of_an_evaluation_has_a_cluster(name, file):
    found = minitx.load(OLD / name).evaluate("test", path=str(OLD / file))
    for items in found.items.values():
        assert len(found.clusters) == len(items)
    distinct = len(np.unique(found.clusters))
    if name == "language_modeling":  # a user's text has no parts that are known
        assert 1 < distinct < len(found.clusters)
    else:  # all sources differ
        assert distinct == len(found.clusters)
