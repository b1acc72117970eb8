"""Tell users what was read as label and as text, if it is probably not what they meant."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from minitx.data.corpora.records import RecordFile, is_heading, is_quoted
from minitx.errors import UserError

SHOWN = 3  # examples of values in a message
LONGEST = 40  # characters of a value in a message
LONGEST_NAME = 200  # characters of a label that is compared with others


@dataclass
class Columns:
    """The different labels and texts of a file, as they were read.

    labels  the number of examples of each label
    first   the first text of each label
    texts   the hashes of the different texts
    """

    records: RecordFile
    labels: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    texts: set[int] = field(default_factory=set)

    def add(self, label: str, text: str) -> None:
        self.labels[label] += 1
        self.first.setdefault(label, text)
        self.texts.add(hash(text))

    def check(self) -> None:
        """Raise UserError if the first line is a heading, or if the labels are probably texts.

        They are if there are more labels than texts, or fewer than two examples for each label.
        """
        label, text = next(iter(self.first.items()))
        if self.labels[label] == 1 and (is_heading(label) or is_heading(text)):
            raise UserError(
                f"{self.records.where} 1: {shown(label)} is read as a label and {shown(text)} as "
                "its text: this looks like a heading, so remove the line"
            )
        labels, texts, examples = len(self.labels), len(self.texts), self.labels.total()
        if labels <= texts and 2 * labels <= examples:
            return
        advice = "swap the two" if texts < labels else "give the same label to several texts"
        raise UserError(
            f"{self.records.path}: {self.records.place(0)} is read as the label and has "
            f"{labels:,} different values in {examples:,} examples ({some(self.labels)}); "
            f"{self.records.place(1)} is read as the text and has {texts:,} "
            f"({some(self.first.values())}): {advice}"
        )

    def notes(self) -> tuple[str, ...]:
        """Return a line about labels with one example, similar labels, and labels in quotes."""
        notes = []
        path, place, count = self.records.path, self.records.place(0), len(self.labels)
        single = [label for label, examples in self.labels.items() if examples == 1]
        if single:
            have = "has" if len(single) == 1 else "have"
            texts = some(self.first[label] for label in single)
            notes.append(
                f"{len(single)} of {count} labels in {path} {have} a single example: "
                f"{some(single)}, with the text {texts}. The label is read from {place}; give more "
                "examples of these labels, or leave them out"
            )
        alike = defaultdict(list)
        for label in self.labels:
            if len(label) <= LONGEST_NAME:
                alike[_plain(label)].append(label)
        for group in alike.values():
            if len(group) > 1:
                notes.append(
                    f"{some(group)} are {len(group)} of {count} labels in {path}, but differ only "
                    f"in case or white space: write them alike in {place}"
                )
        if all(map(is_quoted, self.labels)):
            notes.append(
                f"the quotation marks around the labels in {path} are part of them, as in "
                f"{some(self.labels)}: write {place} without quotes"
            )
        return tuple(notes)


def shown(value: str) -> str:
    """Return a value in quotes, shortened."""
    return repr(value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}...")


def some(values: Iterable[str]) -> str:
    """Return the first different values of a list, as part of a sentence."""
    different = list(dict.fromkeys(values))
    more = [f"{len(different) - SHOWN:,} more"] if len(different) > SHOWN else []
    return ", ".join([*map(shown, different[:SHOWN]), *more])


def _plain(label: str) -> str:
    """Return a label without what readers do not see at once: case, width and white space."""
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())
