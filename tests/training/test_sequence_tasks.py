"""Sequence to sequence: every kind of model learns, and its folder tells the whole of it."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from example_corpora import SMALL, number_pairs, part_of_pairs, unigram_loss, write_tsv
from run_files import assert_same, checkpoint, columns, files, rows, series, summary

import minitx
from minitx.config import DecodingConfig
from minitx.data.sequence_tokenizers import SequenceTokenizer
from minitx.setups import open_setup
from minitx.translating import read_source, search

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
COUNT = 1200


@pytest.fixture(scope="module")
def corpus():
    return number_pairs(COUNT)


@pytest.fixture(scope="module")
def numbers(corpus, tmp_path_factory):
    """The command line of a run on pairs of numbers."""
    path = write_tsv(tmp_path_factory.mktemp("pairs") / "numbers.tsv", corpus)
    return ["task=pairs", f"data.path={path}", *SMALL, "data.batch_tokens=600"]


LEARNING = ["trainer.val_every=60", "trainer.log_every=20"]

# What each kind of model is, in how many steps it learns, and how many of its outputs are right.
KINDS = {
    "transformer": (["model.dim=48"], 180, 0.6),
    "lstm": (["model=lstm", "model.dim=64", "optimizer.lr=0.02"], 120, 0.6),
    "lstm, additive attention": (
        ["model=lstm", "model.dim=32", "optimizer.lr=0.02", "model.attention=additive"],
        *(120, 0.6),
    ),
    "lstm, dot attention": (
        ["model=lstm", "model.dim=32", "optimizer.lr=0.02", "model.attention=dot"],
        *(120, 0.6),
    ),
}


@pytest.fixture(scope="module", params=KINDS, ids=str)
def finished(request, train, numbers, tmp_path_factory):
    """A finished run of each kind, its folder, and the share of outputs that should be right."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    words, steps, right = KINDS[request.param]
    end = f"trainer.max_steps={steps}"
    scored = ["task.measure=wer", "decoding.beam=1"]
    return train(*numbers, f"run.dir={folder}", *words, end, *LEARNING, *scored), folder, right


def test_it_learns_more_than_which_words_are_frequent(finished, corpus):
    _, folder, _ = finished
    losses = series(folder, "val/loss")
    first, *_, last = losses.values()
    assert last < first - 0.1
    train, val = (
        [target for _, target in part_of_pairs(corpus, split)] for split in ("train", "val")
    )
    unigram = unigram_loss(train, val)
    assert 2.2 < unigram < 2.5  # ten words, evenly, and now and then an end
    assert last < unigram / 2


def test_most_of_what_it_writes_greedily_is_right(finished, corpus):
    run, folder, share = finished
    test = part_of_pairs(corpus, "test")
    sources = [read_source(run.vocabulary.source.encode(source)) for source, _ in test]
    found = search(run.model, run.vocabulary, sources, DecodingConfig(beam=1))
    right = [output.text == target for (output,), (_, target) in zip(found, test, strict=True)]
    assert sum(right) / len(right) >= share
    # ... which is also what the training itself has measured.
    assert summary(folder)["metrics"]["test/wer"] == pytest.approx(1 - sum(right) / len(right))
