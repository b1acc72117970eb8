"""Well-known data sets: their files under data.dir, else the same sets on the Hugging Face hub."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minitx.data.corpora.packages import is_installed
from minitx.data.corpora.records import two_texts
from minitx.errors import UserError

PATIENCE = 10  # seconds that the hub may take for its first answer
THE_OTHER_WAY = 'take it from the Hugging Face hub (pip install -e ".[hub]", and a network)'


class HubSplit:
    """Two columns of one split on the hub, as pairs of texts; read from the local copy every time.

    White space around a text is dropped, as it is in files. Raises UserError, while it is read, for
    a row without two texts, with its number from 1.
    """

    def __init__(self, rows: Any, columns: tuple[str, str], where: str) -> None:
        self.rows, self.columns, self.where = rows, columns, f"{where}, row"

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for number, row in enumerate(self.rows, 1):
            texts = [row[column] for column in self.columns]
            try:
                if not all(type(text) is str for text in texts):
                    raise ValueError(f"not two texts in {' and '.join(self.columns)}")
                yield two_texts(self.columns, texts)
            except ValueError as error:
                raise UserError(f"{self.where} {number}: {error}") from None


@dataclass(frozen=True)
class PublishedSet:
    """A well-known data set: its files and where they are from, and a copy of it on the hub.

    The copy is a repository of plain data files. `columns` of it hold what two fields of a record
    hold in the files, and `sizes` are the examples in each of its splits, in the order of ours.
    """

    name: str
    files: tuple[str, ...]
    origin: str
    repository: str
    columns: tuple[str, str]
    sizes: Mapping[str, int]

    def paths(self, data_dir: Path | None) -> list[Path]:
        """The files, in the folder `name` under `data_dir`; empty where not one of them is there.

        Raises UserError where some are there and some are not: whoever put files there means those,
        and must not train on others without a word.
        """
        paths = [self._folder(data_dir) / file for file in self.files]
        missing = [path.name for path in paths if not path.is_file()]
        if data_dir is None or len(missing) == len(paths):
            return []
        if missing:
            raise self._needs(data_dir, missing, f"move the others away to {THE_OTHER_WAY}")
        return paths

    def check(self, data_dir: Path | None) -> None:
        """Raises UserError as `paths`, and without the files also where `datasets` is missing."""
        if not self.paths(data_dir) and not is_installed("datasets"):
            raise self._needs(data_dir, self.files, THE_OTHER_WAY)

    def from_hub(self, data_dir: Path | None) -> list[HubSplit]:
        """The splits of the copy on the hub. `datasets` keeps it, and later needs no network.

        Raises UserError, with both ways to get the set, where `datasets` is not installed, the hub
        cannot be reached, or the copy has other columns or another number of examples.
        """
        self.check(data_dir)
        try:
            splits = load(self.repository)
        except Exception as error:  # of any of the libraries below `datasets`, or of the system
            reason = f"{type(error).__name__}: {error}"
        else:
            reason = self._difference(splits)
        if reason:
            reason = textwrap.shorten(reason, 160, placeholder=" ...")
            failed = f"{THE_OTHER_WAY}, which failed: {self.repository}: {reason}"
            raise self._needs(data_dir, self.files, failed)
        return [
            HubSplit(splits[split], self.columns, f"{self.repository}, {split}")
            for split in self.sizes
        ]

    def _difference(self, splits: Any) -> str:
        """What about the copy is not as expected, in words; empty where all is."""
        for split, size in self.sizes.items():
            if split not in splits:
                return f"{', '.join(splits)} in place of {', '.join(self.sizes)}"
            rows = splits[split]
            if not set(self.columns) <= set(rows.column_names):
                found, wanted = ", ".join(rows.column_names), ", ".join(self.columns)
                return f"{split} has {found} in place of {wanted}"
            if len(rows) != size:
                return f"{split} has {len(rows)} examples in place of {size}"
        return ""

    def _folder(self, data_dir: Path | None) -> Path:
        return Path(data_dir or "DIR", self.name)

    def _needs(self, data_dir: Path | None, missing: Sequence[str], other_way: str) -> UserError:
        return UserError(
            f"{self.name} needs {self._folder(data_dir)}/ with {', '.join(missing)}, from "
            f"{self.origin}: put them there and give data.dir=DIR, or {other_way}"
        )


def load(repository: str) -> Any:
    """A repository's splits by name, a `datasets.DatasetDict`, from the hub or the local copy.

    Only data files are read: `datasets` has run no code of a repository since version 4. Offline,
    or where the hub does not answer, the local copy is taken. Raises whatever `datasets` and
    `huggingface_hub` raise.
    """
    # Imported here, as it takes a second and nothing else wants it.
    from datasets import config, load_dataset
    from huggingface_hub import HfApi

    if config.HF_HUB_OFFLINE:
        return load_dataset(repository)
    try:
        HfApi().dataset_info(repository, timeout=PATIENCE)
    except Exception:
        # `datasets` would try six times, for a minute or more, before it looks for a local copy.
        config.HF_HUB_OFFLINE = True
        try:
            return load_dataset(repository)
        except ConnectionError:
            pass  # no copy either: what the hub said tells more
        finally:
            config.HF_HUB_OFFLINE = False
        raise
    return load_dataset(repository)
