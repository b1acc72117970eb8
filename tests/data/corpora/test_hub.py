"""Test data sets from the hub, without a network.

`datasets` reads folders that have the form of the hub's repositories, and little in them.
"""

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from minitx.data.corpora import hub, labels, pairs
from minitx.errors import UserError

TEXTS = [
    "How did serfdom develop ?",
    ' two "quotes", a \\ and a space\u00a0',
    "a sister\u00f0city \u2028 in one line",
    "\u00fcber 1 , 000 \u4eba .",
    "one",
]
CORPORA: dict[str, Callable] = {
    "sst2": labels.sst2,
    "trec": labels.trec,
    "multi30k": pairs.multi30k,
}
# A label's number in the files and its name; then its code on the hub, and its number there.
SENTIMENT = [(0, "negative"), (1, "positive")]
QUESTION = [
    *[(0, "description", "DESC", 0), (1, "entity", "ENTY", 1), (2, "abbreviation", "ABBR", 2)],
    *[(3, "human", "HUM", 3), (4, "location", "LOC", 5), (5, "number", "NUM", 4)],
]


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    write(path, [json.dumps(row) for row in rows])


def publish_sst2(files: Path, repository: Path) -> dict[str, int]:
    for file, name in (("train.tsv", "train"), ("dev.tsv", "dev"), ("test.tsv", "test")):
        examples = [(*SENTIMENT[n % 2], f"{text} {name}") for n, text in enumerate(TEXTS)]
        write(files / file, [f"{number}\t{text}" for number, _, text in examples])
        rows = [{"text": t, "label": n, "label_text": name} for n, name, t in examples]
        write_rows(repository / f"{name}.jsonl", rows)
    return {"train": 5, "validation": 5, "test": 5}


def publish_trec(files: Path, repository: Path) -> dict[str, int]:
    for split in ("train", "test"):
        examples = [(*QUESTION[n % 6], f"{text.strip()} {n}") for n, text in enumerate(TEXTS * 12)]
        write(files / f"{split}.tsv", [f"{number}\t{text}" for number, *_, text in examples])
        rows = [
            {"text": text, "label": 0, "label_coarse": there, "label_coarse_original": code}
            for _, _, code, there, text in examples
        ]
        write_rows(repository / f"{split}.jsonl", rows)
    # The repository holds more than data.
    for name in ("README.md", "TREC_10.label", "train_5500.label", "question_types.txt"):
        write(repository / name, ["DESC:manner How ?"])
    return {"train": 60, "test": 60}


def publish_multi30k(files: Path, repository: Path) -> dict[str, int]:
    for file, name in (("train", "train"), ("val", "val"), ("test_2016_flickr", "test")):
        rows = [{"en": f"{text} {name}", "de": f"{text[::-1]}\u00df"} for text in TEXTS]
        for side in ("en", "de"):
            write(files / f"{file}.{side}.gz", [row[side] for row in rows])
        write_rows(repository / f"{name}.jsonl", rows)
    return {"train": 5, "validation": 5, "test": 5}


class Copies:
    """Small sets, as files and as folders that stand for the repositories."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files, self.hub, self.cache = place / "files", place / "hub", place / "cache"
        self.loads = 0
        monkeypatch.setattr(hub, "load", self.load)
        for module, name, publish in (
            (labels, "SST2", publish_sst2),
            (labels, "TREC", publish_trec),
            (pairs, "MULTI30K", publish_multi30k),
        ):
            known = getattr(module, name)
            sizes = publish(self.files / known.name, self.hub / known.repository)
            assert list(sizes) == list(known.sizes)
            monkeypatch.setattr(module, name, replace(known, sizes=sizes))

    def load(self, repository: str) -> Any:
        self.loads += 1
        return datasets.load_dataset(str(self.hub / repository), cache_dir=str(self.cache))


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    return Copies(tmp_path, monkeypatch)


def examples(corpus: Any) -> dict[str, list]:
    return {split: list(stream()) for split, stream in corpus.splits.items()}


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", CORPORA)
def test_the_hub_gives_what_the_files_give(name: str, copies: Copies, tmp_path: Path) -> None:
    from_files = CORPORA[name](copies.files)
    assert copies.loads == 0  # where there are files, nobody asks
    for data_dir in (None, tmp_path / "empty"):
        from_hub = CORPORA[name](data_dir)
        assert examples(from_hub) == examples(from_hub) == examples(from_files)
        assert from_hub.fingerprint == from_files.fingerprint
    assert copies.loads == 2


def test_the_labels_of_the_hub_have_our_names(copies: Copies) -> None:
    found = {x.text.split()[-1]: x.label for x in examples(labels.trec(None))["test"]}
    assert found == {str(n): QUESTION[n % 6][1] for n in range(60)}
    found = {x.text: x.label for x in examples(labels.sst2(None))["val"]}
    assert found["How did serfdom develop ? dev"] == "negative"


@pytest.mark.parametrize("name", CORPORA)
def test_without_files_and_datasets_both_ways_are_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # as if it were not installed
    known = {"sst2": labels.SST2, "trec": labels.TREC, "multi30k": pairs.MULTI30K}[name]
    for data_dir, folder in ((None, Path("DIR")), (tmp_path, tmp_path)):
        with pytest.raises(UserError) as error:
            CORPORA[name](data_dir)
        message = one_line(error)
        assert f"{name} needs {folder / name}/ with {', '.join(known.files)}" in message
        assert known.origin in message
        assert "data.dir=DIR" in message
        assert 'pip install -e ".[hub]"' in message


@pytest.mark.parametrize("name", CORPORA)
def test_some_files_are_no_reason_to_take_others(name: str, copies: Copies) -> None:
    files = sorted((copies.files / name).iterdir())
    files[0].unlink()
    with pytest.raises(UserError) as error:
        CORPORA[name](copies.files)
    message = one_line(error)
    assert f"with {files[0].name}, from" in message
    assert not any(file.name in message for file in files[1:])
    assert 'move the others away to take it from the Hugging Face hub (pip install -e ".[hub]"' in (
        message
    )
    assert copies.loads == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sizes": {"train": 6_920, "test": 5}}, "train has 5 examples in place of 6920"),
        ({"sizes": {"train": 5, "dev": 5}}, "train, validation, test in place of train, dev"),
        ({"columns": ("kind", "text")}, "train has text, label, label_text in place of kind, text"),
        ({"repository": "SetFit/none"}, "Error: Couldn't find any data file at"),
    ],
)
def test_another_set_is_refused(
    change: dict[str, Any], reason: str, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "SST2", replace(labels.SST2, **change))
    with pytest.raises(UserError) as error:
        labels.sst2(None)
    message = one_line(error)
    assert reason in message
    assert "put them there and give data.dir=DIR, or take it from the Hugging Face hub" in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": " ", "label_text": "positive"}, "the text is empty"),
        ({"text": None, "label_text": "positive"}, "not two texts in label_text and text"),
        ({"text": "fine", "label_text": "so-so"}, "'so-so' is not one of negative, positive"),
    ],
)
def test_a_bad_row_is_named(
    row: dict[str, Any], reason: str, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(copies.hub / "SetFit/sst2/dev.jsonl", [{"text": "a", "label_text": "negative"}, row])
    monkeypatch.setattr(
        labels, "SST2", replace(labels.SST2, sizes={"train": 5, "validation": 2, "test": 5})
    )
    with pytest.raises(UserError, match=rf"SetFit/sst2, validation, row 2: .*{reason}"):
        examples(labels.sst2(None))


def test_code_in_a_repository_is_not_run(copies: Copies, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = [f"open({str(trace)!r}, 'w').close()", "import datasets"]
    write(copies.hub / "SetFit/TREC-QC/prepare.py", code)  # the repository has such a file
    assert labels.trec(None).counts["test"] == 60
    write(copies.hub / "SetFit/TREC-QC/TREC-QC.py", code)  # what used to load a repository
    with pytest.raises(UserError, match=r"trec needs .*scripts are no longer supported"):
        labels.trec(None)
    assert not trace.exists()


LOADING = """
import sys
import minitx
from minitx.data.corpora import labels
from minitx.errors import UserError
assert "datasets" not in sys.modules
try:
    print(len(list(labels.trec(None).splits["test"]())))
except UserError as error:
    print(error)
"""


def in_a_process(code: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code with a hub and a cache of its own: the libraries read both when imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    own = {"HF_HOME": str(place), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=kept | own | environment, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return answer


@pytest.fixture
def closed_port() -> Iterator[str]:
    """The address of a hub that refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_a_hub_out_of_reach_is_one_line_and_not_tried_again(
    tmp_path: Path, closed_port: str
) -> None:
    answer = in_a_process(LOADING, tmp_path, HF_ENDPOINT=closed_port)
    assert answer.stdout.count("\n") == 1
    assert answer.stdout.startswith("trec needs DIR/trec/ with train.tsv, test.tsv, from ")
    assert "SetFit/TREC-QC: ConnectError: [Errno 111] Connection refused" in answer.stdout
    assert "Retry" not in answer.stderr


def test_offline_no_server_is_asked(tmp_path: Path, listener: socket.socket) -> None:
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    answer = in_a_process(LOADING, tmp_path, HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert answer.stdout.count("\n") == 1
    assert "SetFit/TREC-QC: ConnectionError: Couldn't reach" in answer.stdout
    assert "OfflineModeIsEnabled" in answer.stdout
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("offline", ["0", "1"])
def test_what_was_loaded_once_needs_no_network(
    offline: str, copies: Copies, closed_port: str
) -> None:
    # What `datasets` keeps of a folder differs in its place only from what it keeps of the hub.
    copies.load("SetFit/TREC-QC")
    (copies.cache / "trec-qc").rename(copies.cache / "SetFit___trec-qc")
    code = LOADING.replace("try:", "labels.TREC.sizes.update(train=60, test=60)\ntry:")
    cache = {"HF_DATASETS_CACHE": str(copies.cache), "HF_ENDPOINT": closed_port}
    answer = in_a_process(code, copies.cache, HF_HUB_OFFLINE=offline, **cache)
    assert answer.stdout == "60\n"
    assert "Retry" not in answer.stderr


def test_files_need_no_datasets(copies: Copies) -> None:
    code = f"""
import sys
from pathlib import Path
from minitx.data.corpora.labels import sst2
from minitx.data.corpora.pairs import multi30k
for corpus in (sst2, multi30k):
    print(next(corpus(Path({str(copies.files)!r})).splits["train"]()))
print("datasets" in sys.modules)
"""
    assert in_a_process(code, copies.cache).stdout.endswith("\nFalse\n")
