"""Test the store of tokens."""

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minitx.data import progress
from minitx.data.batching import cache
from minitx.data.batching.token_store import TokenStore, open_tokens
from minitx.data.corpora.text import Corpus, text_file
from minitx.errors import UserError

SPLITS = {"train": ["To be, ", "or not to be:\n"], "val": ["that is ", "the question—"], "test": []}


class Counted:
    """A corpus that counts how often its text is read."""

    def __init__(self, splits: dict[str, list[str]]) -> None:
        self.reads = 0
        self.pieces = splits
        self.corpus = Corpus("counted", {n: lambda n=n: self.read(n) for n in splits})

    def read(self, split: str) -> Iterator[str]:
        self.reads += 1
        yield from self.pieces[split]


def text_of(store: TokenStore, split: str) -> str:
    return store.tokenizer.decode(store.split(split).tolist())


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_the_store_holds_the_text(tmp_path: Path, kind: str) -> None:
    store = open_tokens(Counted(SPLITS).corpus, kind, 260, tmp_path)
    assert store.splits == ("train", "val", "test")
    assert store.tokenizer.kind == kind
    for split, pieces in SPLITS.items():
        assert text_of(store, split) == "".join(pieces)
        assert len(store.split(split)) == store.lengths[split]
        assert store.split(split).dtype == store.tokenizer.dtype
    assert isinstance(store.split("train"), np.memmap)
    assert not store.split("train").flags.writeable


def test_a_share_of_a_split_is_its_beginning(tmp_path: Path) -> None:
    text = "abcdefghij" * 10
    store = open_tokens(Counted({"train": [text]}).corpus, "char", 0, tmp_path)
    for share, tokens in ((1.0, 100), (0.25, 25), (0.3, 30), (0.001, 0)):
        assert store.tokenizer.decode(store.split("train", share).tolist()) == text[:tokens]


def test_ids_take_the_smallest_type(tmp_path: Path) -> None:
    for alphabet, dtype in ((256, np.uint8), (257, np.uint16), (66_000, np.uint32)):
        text = "".join(map(chr, range(0x10000, 0x10000 + alphabet)))
        store = open_tokens(Counted({"train": [text]}).corpus, "char", 0, tmp_path)
        assert store.split("train").dtype == dtype
        assert store.split("train").tolist() == list(range(alphabet))


def test_an_alphabet_comes_from_all_splits_and_byte_pairs_from_train(tmp_path: Path) -> None:
    corpus = Counted({"train": ["abab" * 50], "val": ["xyxy" * 50]}).corpus
    assert open_tokens(corpus, "char", 0, tmp_path).tokenizer.encode("abxy") == [0, 1, 2, 3]
    bpe = open_tokens(corpus, "bpe", 300, tmp_path).tokenizer
    assert len(bpe.encode("abab")) == 1
    assert len(bpe.encode("xyxy")) == 4


def test_a_corpus_is_tokenised_once(tmp_path: Path) -> None:
    open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path)
    counted = Counted(SPLITS)
    open_tokens(counted.corpus, "char", 99, tmp_path)
    assert counted.reads == len(SPLITS)  # for the fingerprint alone


def test_other_text_or_another_tokenizer_is_another_store(tmp_path: Path) -> None:
    other = {**SPLITS, "val": ["that was"]}
    stores = [
        open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path),
        open_tokens(Counted(other).corpus, "char", 0, tmp_path),
        open_tokens(Counted(SPLITS).corpus, "bpe", 257, tmp_path),
        open_tokens(Counted(SPLITS).corpus, "bpe", 258, tmp_path),
    ]
    assert len({store.folder for store in stores}) == 4
    assert len({store.fingerprint for store in stores}) == 4


@pytest.mark.parametrize("damage", ["train.bin", "meta.json", "tokenizer.json", "hash"])
def test_a_damaged_store_is_rebuilt(tmp_path: Path, damage: str) -> None:
    store = open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path)
    if damage == "hash":  # a valid tokenizer, but not the one that wrote the ids
        file = store.folder / "tokenizer.json"
        swapped = file.read_text().replace('"T"', '"S"')
        assert swapped != file.read_text()
        file.write_text(swapped)
    else:
        file = store.folder / damage
        file.write_bytes(file.read_bytes()[:-1])
    again = open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path)
    assert again.fingerprint == store.fingerprint
    assert text_of(again, "train") == "".join(SPLITS["train"])


KILLED = """
import os, signal, sys
from pathlib import Path
from minitx.data.corpora.text import Corpus
from minitx.data.batching.token_store import open_tokens

reads = 0

def val():
    global reads
    reads += 1
    yield "or not"
    if reads == 3:  # after the fingerprint and the alphabet: train is written, val is not
        os.kill(os.getpid(), signal.SIGKILL)

corpus = Corpus("x", {"train": lambda: iter(["to be"]), "val": val})
open_tokens(corpus, "char", 0, Path(sys.argv[1]))
"""


def test_what_a_killed_process_left_is_cleaned_up(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == -9
    assert len(list(tmp_path.glob("*.building"))) == 1
    corpus = Counted({"train": ["to be"], "val": ["or not"]}).corpus
    store = open_tokens(corpus, "char", 0, tmp_path)
    assert text_of(store, "val") == "or not"
    assert list(tmp_path.glob("*.building")) == []


TOGETHER = """
import sys
from pathlib import Path
from minitx.data.corpora.text import text_file
from minitx.data.batching.token_store import open_tokens

sys.stdin.read()  # until all have started
text, cache = map(Path, sys.argv[1:])
store = open_tokens(text_file(text, 0.1), "bpe", 300, cache)
print(store.fingerprint, store.folder.stat().st_ino)
"""


def test_processes_that_start_together_make_one_store(tmp_path: Path) -> None:
    text, cache = tmp_path / "mine.txt", tmp_path / "cache"
    text.write_text("to be or not to be\n" * 20_000)
    command = [sys.executable, "-c", TOGETHER, str(text), str(cache)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        process.stdin.close()
        process.stdin = None
    outputs = {process.communicate()[0] for process in processes}
    assert len(outputs) == 1
    assert open_tokens(text_file(text, 0.1), "bpe", 300, cache).fingerprint in outputs.pop()


def test_a_failure_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be at least 257"):
        open_tokens(Counted(SPLITS).corpus, "bpe", 5, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file.*data\.cache_dir=DIR"):
        open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path / "file" / "cache")


def test_a_finished_store_needs_no_right_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path)
    monkeypatch.setattr(cache, "FileLock", None)
    again = open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path)
    assert again.fingerprint == store.fingerprint


def test_slow_work_shows_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_tokens(Counted(SPLITS).corpus, "char", 0, tmp_path / "quick")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    expected = ["reading slow ..."] * 3 + ["learning tokens: "] * 3
    expected += ["tokenising train: 100%", "tokenising val: 100%", "tokenising test: "]

    def slow(text: str) -> Iterator[str]:
        """Yield a text and wait until the next of the expected lines is shown."""
        yield text
        line, shown, deadline = expected.pop(0), "", time.monotonic() + 60
        while line not in shown and time.monotonic() < deadline:
            time.sleep(0.01)
            shown += capsys.readouterr().err
        assert line in shown

    splits = {name: partial(slow, "".join(pieces)) for name, pieces in SPLITS.items()}
    open_tokens(Corpus("slow", splits), "char", 0, tmp_path / "slow")
    assert not expected
