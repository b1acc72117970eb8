"""Published data sets: their files in data.dir, or else their copies on the Hugging Face hub."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minitx.config.home import replace_home
from minitx.data.corpora.packages import is_installed
from minitx.data.corpora.records import two_texts
from minitx.errors import UserError

TIMEOUT = 10  # seconds to wait for the hub's first answer
THE_OTHER_WAY = 'take it from the Hugging Face hub (pip install -e ".[hub]", and a network)'


class HubSplit:
    """Pairs of texts from two columns of one split on the hub, read from the local copy.

    White space around a text is dropped, as in files. Reading raises UserError with the row's
    number, counted from 1, for a row without two texts.
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
            except (ValueError, UserError) as error:
                raise UserError(f"{self.where} {number}: {error}") from None


@dataclass(frozen=True)
class PublishedSet:
    """A published data set: its files and their origin, and a copy of it on the hub.

    The copy is a repository of plain data files. Its `columns` contain the two fields of a record.
    `sizes` are the numbers of examples in its splits, in the order of our splits.
    """

    name: str
    files: tuple[str, ...]
    origin: str
    repository: str
    columns: tuple[str, str]
    sizes: Mapping[str, int]

    def paths(self, data_dir: Path | None) -> list[Path]:
        """Return the files in the folder `name` of `data_dir`, or an empty list without any.

        Raises UserError if only some of them exist, because a user who put files there does not
        want to train on others.
        """
        paths = [self._folder(data_dir) / file for file in self.files]
        missing = [path.name for path in paths if not path.is_file()]
        if data_dir is None or len(missing) == len(paths):
            return []
        if missing:
            raise self._needs(data_dir, missing, f"move the others away to {THE_OTHER_WAY}")
        return paths

    def check(self, data_dir: Path | None) -> None:
        """Raise UserError as `paths` does, and if the files and `datasets` are both missing."""
        if not self.paths(data_dir) and not is_installed("datasets"):
            raise self._needs(data_dir, self.files, THE_OTHER_WAY)

    def from_hub(self, data_dir: Path | None) -> list[HubSplit]:
        """Return the splits of the copy on the hub. `datasets` caches it for use without a network.

        Raises UserError, with both ways to get the set, if `datasets` is not installed, if the hub
        cannot be reached, or if the copy has other columns or another number of examples.
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
        """Return how the copy differs from what is expected, or an empty text."""
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
    """Return a repository's splits, a `datasets.DatasetDict`, from the hub or the local copy.

    Only data files are read: since version 4, `datasets` runs no code of a repository. Offline, and
    if the hub does not answer, this reads the local copy. Raises what `datasets` and
    `huggingface_hub` raise.
    """
    replace_home()  # before `datasets` is imported, which looks for its cache then
    # Imported here, because it takes a second and nothing else needs it.
    from datasets import config, load_dataset
    from huggingface_hub import HfApi

    if config.HF_HUB_OFFLINE:
        return load_dataset(repository)
    try:
        HfApi().dataset_info(repository, timeout=TIMEOUT)
    except Exception:
        # `datasets` would retry for a minute or more before it looks for a local copy.
        config.HF_HUB_OFFLINE = True
        try:
            return load_dataset(repository)
        except ConnectionError:
            pass  # no copy either: the hub's error is more helpful
        finally:
            config.HF_HUB_OFFLINE = False
        raise
    return load_dataset(repository)
