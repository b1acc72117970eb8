"""Test the reading of files of pairs and labels."""

import gzip
import lzma
import re
from pathlib import Path

import pytest

from minitx.data.corpora.records import ParallelFiles, RecordFile
from minitx.errors import UserError

PAIR = ("source", "target")
LABEL = ("label", "text")


def write(path: Path, data: str | bytes) -> Path:
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if path.suffix.lower() == ".gz" else data)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "A.TSV", "A.TSV.GZ"])
def test_columns(place: Path, name: str) -> None:
    path = write(place / name, 'hello \thallo\n"quoted"\t\u00e9\n')
    assert list(RecordFile(path, PAIR)) == [("hello", "hallo"), ('"quoted"', "é")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "A.JsonL.gZ"])
def test_objects(place: Path, name: str) -> None:
    text = '{"text": " a\\tb ", "label": 3, "id": null}\n{"label": "x", "text": "c"}\n'
    assert list(RecordFile(write(place / name, text), LABEL)) == [("3", "a\tb"), ("x", "c")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alone", "0 tabs in place of one: source TAB target"),
        ("", "0 tabs"),
        ("a\tb\tc", "2 tabs in place of one"),
        ("a\t ", "the target is empty"),
        ("\tb", "the source is empty"),
    ],
)
def test_a_bad_line_of_columns_is_named(place: Path, line: str, message: str) -> None:
    path = write(place / "bad.tsv", f"a\tb\n{line}\nc\td\n")
    with pytest.raises(UserError, match=rf"bad\.tsv, line 2: {message}"):
        list(RecordFile(path, PAIR))


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '"text"', "{}", '{"text": "a"}', '{"text": "a", "label": true}']
)
def test_a_bad_object_is_named(place: Path, line: str) -> None:
    path = write(place / "bad.jsonl", '{"label": "x", "text": "y"}\n' + line + "\n")
    with pytest.raises(UserError, match=r'bad\.jsonl, line 2: not of the form \{"label": "\.\.\."'):
        list(RecordFile(path, LABEL))


@pytest.mark.parametrize("value", ["true", "0.5", "null", '["pos"]'])
def test_a_value_of_another_type_is_named(place: Path, value: str) -> None:
    path = write(place / "bad.jsonl", f'{{"text": "a", "label": {value}}}\n')
    said = re.escape(f'"label" is {value}, which is neither text nor a whole number')
    with pytest.raises(UserError, match=said):
        list(RecordFile(path, LABEL))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_file_that_is_packed_in_another_way_is_named(place: Path, pack) -> None:
    path = place / "packed.tsv"
    path.write_bytes(pack(b"a\tb\n" * 100))
    with pytest.raises(UserError, match=r"packed\.tsv is not UTF-8 .*it is packed by (gzip|xz)"):
        list(RecordFile(path, PAIR))


def test_half_a_character_is_an_error(place: Path) -> None:
    path = write(place / "half.jsonl", '{"label": "x", "text": "\\ud83d"}\n')
    with pytest.raises(
        UserError, match=r"half\.jsonl, line 1: the text is not Unicode from character 0 on"
    ):
        list(RecordFile(path, LABEL))


def test_another_kind_of_file_is_an_error(place: Path) -> None:
    for name in ("a.csv", "a.gz", "a"):
        with pytest.raises(UserError, match=r"is not a \.tsv or \.jsonl"):
            RecordFile(write(place / name, "a\tb"), PAIR)


@pytest.mark.parametrize("name", ["no.tsv", "no.tsv.gz"])
def test_a_missing_or_empty_file_is_an_error(place: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"cannot read .*{name} \(No such file"):
        RecordFile(place / name, PAIR)
    path = write(place / f"empty{name}", "")
    with pytest.raises(UserError, match=rf"empty{name} is empty: give source TAB target"):
        RecordFile(path, PAIR)


def test_damaged_archives_are_errors(place: Path) -> None:
    whole = gzip.compress(b"a\tb\n" * 10_000)
    for damaged in (b"not gzip", whole[:-20], whole[:20] + b"\xff" * 30 + whole[50:]):
        path = place / "bad.tsv.gz"
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cannot read .*bad\.tsv\.gz \("):
            list(RecordFile(path, PAIR))


def test_another_encoding_is_an_error(place: Path) -> None:
    path = write(place / "latin.tsv", "a\tb\ncaf\u00e9\tc\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin\.tsv is not UTF-8 \(line 2\).*as UTF-8"):
        list(RecordFile(path, PAIR))


def test_lines_of_two_files_belong_together(place: Path) -> None:
    first, second = write(place / "a.en", "one\n two\n"), write(place / "a.de.gz", "eins\nzwei\n")
    assert list(ParallelFiles(first, second)) == [("one", "eins"), ("two", "zwei")]


def test_two_files_of_other_lengths_are_an_error(place: Path) -> None:
    first, second = write(place / "a.en", "1\n2\n3\n"), write(place / "a.de", "1\n2\n")
    with pytest.raises(UserError, match=r"a\.en has 3 lines and .*a\.de has 2"):
        ParallelFiles(first, second)


def test_an_empty_side_or_file_is_an_error(place: Path) -> None:
    first, second = write(place / "a.en", "1\n2\n"), write(place / "a.de", "1\n \n")
    with pytest.raises(UserError, match=r"a\.de, line 2: the line is empty"):
        list(ParallelFiles(first, second))
    with pytest.raises(UserError, match=r"none\.de is empty"):
        ParallelFiles(first, write(place / "none.de", ""))
