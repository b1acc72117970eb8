"""Test the store of examples."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from forked import WARM

from minitx.data.batching import cache
from minitx.data.batching.label_store import open_labels
from minitx.data.batching.pair_store import PairStore, open_pairs
from minitx.data.corpora.examples import ExampleCorpus
from minitx.data.corpora.labels import Example, LabelCorpus
from minitx.data.corpora.pairs import Pair, PairCorpus
from minitx.data.tokenizers.sequence import UNK
from minitx.errors import UserError

PAIRS = {
    "train": [Pair("read", ("R EH D", "R IY D")), Pair("red", ("R EH D",)), Pair("a", ("AH",))],
    "val": [Pair("dear", ("D IH R", "D IY R"))],
}
TEXTS = {
    "train": [Example("what is it", "thing"), Example("who is it", "person")],
    "test": [Example("who\u2028was\nthat", "person")],
}


class Counted:
    """A corpus that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0
        self.corpus: PairCorpus = ExampleCorpus("x", {n: lambda n=n: self.read(n) for n in PAIRS})

    def read(self, split: str) -> Iterator[Pair]:
        self.reads += 1
        yield from PAIRS[split]


def pairs(cache_dir: Path, **changes: object) -> PairStore:
    arguments = {
        "source_kind": "char",
        "target_kind": "word",
        "vocab_size": 300,
        "shared_vocab": False,
    }
    return open_pairs(Counted().corpus, **(arguments | changes), cache_dir=cache_dir)


def test_the_store_holds_the_pairs(tmp_path: Path) -> None:
    store = pairs(tmp_path)
    assert store.splits == ("train", "val")
    assert store.counts == {"train": 3, "val": 1}
    assert (store.source_tokenizer.kind, store.target_tokenizer.kind) == ("char", "word")
    for name, expected in PAIRS.items():
        split = store.split(name)
        assert split.pairs == expected
        assert len(split) == len(expected)
        for i, pair in enumerate(expected):
            source = store.source_tokenizer.encode(pair.source)
            target = store.target_tokenizer.encode(pair.targets[0])
            assert split.source[i].tolist() == source
            assert split.target[i].tolist() == target
            assert split.lengths[i].tolist() == [len(source) + 1, len(target) + 1]
        assert split.source.ids.dtype == store.source_tokenizer.dtype
        assert isinstance(split.source.ids, np.memmap)
        assert not split.source.ids.flags.writeable


def test_tokenizers_learn_from_train_only(tmp_path: Path) -> None:
    store = pairs(tmp_path)
    assert set(store.source_tokenizer.spell(range(4, store.source_tokenizer.vocab_size))) == set(
        "read"
    )
    # IH occurs in val alone, IY among the references of train: neither is learned from.
    assert store.target_tokenizer.encode("D IH R")[1] == UNK
    assert store.target_tokenizer.encode("IY") == [UNK]


def test_one_tokenizer_for_both_sides(tmp_path: Path) -> None:
    store = pairs(tmp_path, source_kind="bpe", target_kind="bpe", shared_vocab=True)
    assert store.source_tokenizer.fingerprint == store.target_tokenizer.fingerprint
    apart = pairs(tmp_path, source_kind="bpe", target_kind="bpe")
    assert apart.source_tokenizer.fingerprint != apart.target_tokenizer.fingerprint
    assert apart.source_tokenizer.fingerprint != store.source_tokenizer.fingerprint
    with pytest.raises(UserError, match="cannot be char for the source and word for the target"):
        pairs(tmp_path, shared_vocab=True)


def test_the_store_holds_the_labels(tmp_path: Path) -> None:
    corpus = LabelCorpus("q", {n: lambda n=n: iter(TEXTS[n]) for n in TEXTS}, ("thing", "person"))
    store = open_labels(corpus, "word", 50, tmp_path)
    assert store.labels == ("thing", "person")
    train, test = store.split("train"), store.split("test")
    assert train.labels.tolist() == [0, 1]
    assert train.labels.dtype == np.int64
    assert test.examples == TEXTS["test"]
    assert store.tokenizer.decode(train.text[1]) == "who is it"
    assert train.lengths.tolist() == [[4], [4]]
    batch = test.batch(np.array([0]))
    assert batch.labels.tolist() == [1]
    assert batch.tokens.tolist() == [[1, store.tokenizer.encode("who")[0], UNK, UNK]]


def test_a_corpus_is_tokenised_once(tmp_path: Path) -> None:
    counted = Counted()
    first = open_pairs(counted.corpus, "char", "char", 0, False, tmp_path)
    again = Counted()
    second = open_pairs(again.corpus, "char", "char", 99, False, tmp_path)
    assert again.reads == len(PAIRS) < counted.reads  # for the fingerprint alone
    assert first.fingerprint == second.fingerprint


def test_another_tokenizer_is_another_store(tmp_path: Path) -> None:
    stores = [
        pairs(tmp_path),
        pairs(tmp_path, target_kind="char"),
        pairs(tmp_path, vocab_size=6),
        pairs(tmp_path, source_kind="word"),
    ]
    assert len({store.fingerprint for store in stores}) == 4
    assert len({store.folder for store in stores}) == 4


@pytest.mark.parametrize("damage", ["train.source.ids.npy", "val.target.offsets.npy", "meta.json"])
def test_a_damaged_store_is_rebuilt(tmp_path: Path, damage: str) -> None:
    store = pairs(tmp_path)
    file = store.folder / damage
    file.write_bytes(file.read_bytes()[:-1])
    again = pairs(tmp_path)
    assert again.fingerprint == store.fingerprint
    assert again.source_tokenizer.decode(again.split("train").source[0]) == "read"


def test_a_swapped_tokenizer_is_noticed(tmp_path: Path) -> None:
    store = pairs(tmp_path)
    file = store.folder / "target.json"
    whole = file.read_text()
    file.write_text(whole.replace('"AH"', '"EY"'))
    assert file.read_text() != whole
    assert pairs(tmp_path).target_tokenizer.fingerprint == store.target_tokenizer.fingerprint


def test_a_finished_store_needs_no_right_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = pairs(tmp_path)
    monkeypatch.setattr(cache, "FileLock", None)
    assert pairs(tmp_path).fingerprint == store.fingerprint


TOGETHER = """
import sys
from pathlib import Path
from minitx.data.batching.pair_store import open_pairs
from minitx.data.corpora.pairs import pair_file

sys.stdin.read()  # until all have started
file, cache = map(Path, sys.argv[1:])
store = open_pairs(pair_file(file, 0.1), "bpe", "bpe", 300, True, cache)
print(store.fingerprint, store.folder.stat().st_ino)
"""


def test_processes_that_start_together_make_one_store(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    file.write_text("".join(f"to be {n}\tor not {n}\n" for n in range(3000)))
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    reader, writer = os.pipe()
    streams = reader, None, None
    command = script, file, tmp_path / "cache"
    processes = [WARM.start(*command, streams=streams) for _ in range(2)]
    os.close(reader)
    os.close(writer)  # now both go on
    outputs = {process.communicate()[0] for process in processes}
    assert len(outputs) == 1
    assert outputs.pop()


def test_a_failure_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be at least 261"):
        pairs(tmp_path, source_kind="bpe", vocab_size=260)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_numpy_does_not_say_why_it_wrote_less_than_all(tmp_path):
    """Its error on a full disk has no number."""

    def build(folder):
        (folder / "half").write_bytes(b"12")
        raise OSError("4 requested and 2 written")

    with pytest.raises(
        UserError, match=r"^cannot write .*cache \(the disk is full\): give another"
    ):
        cache.cached(tmp_path / "cache" / "key", lambda folder: None, build)
    assert [path.name for path in (tmp_path / "cache").iterdir()] in ([], ["key.lock"])
