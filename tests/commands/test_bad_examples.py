"""Test errors about bad pairs and labels: one line, before anything is written."""

import json
from pathlib import Path

import pytest
from example_corpora import SMALL, labelled_texts, number_pairs, part_of_pairs, write_tsv
from test_bad_input import refuses

from minitx.data.corpora import hub

PAIRS = ["task=pairs", *SMALL, "data.batch_tokens=400", "data.path=pairs.tsv"]
LABELS = ["task=labels", *SMALL, "data.batch_tokens=400", "data.path=labels.tsv"]
NUMBERS = number_pairs(200)
LONG = next(n for n, pair in enumerate(NUMBERS) if pair in part_of_pairs(NUMBERS, "val"))

# (what is typed, what must be said)
TRAINING = {
    "more sources than targets": (
        [*PAIRS, "data.path=sources.txt", "data.target_path=fewer.txt"],
        ["sources.txt has 200 lines", "fewer.txt has 199"],
    ),
    "an empty source": ([*PAIRS, "data.path=no_source.tsv"], ["no_source.tsv, line 3", "source"]),
    "an empty target": ([*PAIRS, "data.path=no_target.tsv"], ["no_target.tsv, line 3", "target"]),
    "an empty line in one of two files": (
        [*PAIRS, "data.path=sources.txt", "data.target_path=gap.txt"],
        ["gap.txt, line 7", "empty"],
    ),
    "no tab": ([*PAIRS, "data.path=no_tab.tsv"], ["no_tab.tsv, line 201", "0 tabs"]),
    "two tabs": ([*PAIRS, "data.path=two_tabs.tsv"], ["two_tabs.tsv, line 201", "2 tabs"]),
    "not JSON": ([*PAIRS, "data.path=broken.jsonl"], ["broken.jsonl, line 3", "source", "target"]),
    "labels for pairs": ([*PAIRS, "data.path=labels.jsonl"], ["labels.jsonl, line 1", "target"]),
    "not UTF-8": ([*PAIRS, "data.path=latin.tsv"], ["latin.tsv", "UTF-8", "line 2"]),
    "an empty file": ([*PAIRS, "data.path=empty.tsv"], ["empty.tsv", "empty", "source TAB target"]),
    "a kind of file that is none": ([*PAIRS, "data.path=sources.txt"], [".tsv", ".jsonl"]),
    "no such file": ([*PAIRS, "data.path=no.tsv"], ["no.tsv", "No such file"]),
    "no file, of pairs": ([*PAIRS, "data.path=null"], ["task=pairs", "data.path=my.tsv"]),
    "no file, of labels": ([*LABELS, "data.path=null"], ["task=labels", "data.path=my.tsv"]),
    "too few to hold some out": ([*PAIRS, "data.path=few.tsv"], ["few.tsv", "data.val_fraction"]),
    "a label that is not trained on": (
        [*LABELS, "data.path=unseen.tsv"],
        ["unseen.tsv", "'vegetable'", "not in train"],
    ),
    "labels in the second column": (
        [*LABELS, "data.path=swapped.tsv"],
        ["the first column is read as the label", "200 different", "swap the two"],
    ),
    "a heading": ([*LABELS, "data.path=heading.tsv"], ["heading.tsv, line 1", "heading"]),
    "a heading of pairs": ([*PAIRS, "data.path=heading.tsv"], ["heading.tsv, line 1", "heading"]),
    "one label": ([*LABELS, "data.path=one.tsv"], ["one.tsv", "1 label", "two or more"]),
    "an empty label": ([*LABELS, "data.path=no_source.tsv"], ["no_source.tsv, line 3", "label"]),
    "a context too short for val": (
        [*PAIRS, "data.path=long.tsv"],
        ["model.context=24", "val", "set model.context=41"],
    ),
    "a context too short for labels": (
        [*LABELS, "model.context=4"],
        ["model.context=4", "set model.context="],
    ),
    "a size of batches in sequences": (
        ["task=cmudict", "data.path=null", "data.batch_size=8"],
        ["task=cmudict", "data.batch_tokens", "data.batch_size"],
    ),
    "... for labels": (
        [*LABELS, "data.batch_size=8"],
        ["task=labels", "data.batch_tokens", "data.batch_size"],
    ),
    "a size of batches in tokens": (
        ["task=text", "data.batch_tokens=400"],
        ["task=text", "data.batch_size", "data.batch_tokens"],
    ),
    "no size of batches": ([*PAIRS, "data.batch_tokens=null"], ["data.batch_tokens"]),
    "words for a language model": (["task=text", "data.tokenizer=word"], ["word", "char, byte"]),
    "bytes for pairs": ([*PAIRS, "data.tokenizer=byte"], ["byte", "char, word, bpe, unigram"]),
    "bytes for targets": ([*PAIRS, "data.target_tokenizer=byte"], ["byte", "char, word"]),
    "bytes for labels": ([*LABELS, "data.tokenizer=byte"], ["byte", "char, word"]),
    "two kinds that shall be one": (
        [*PAIRS, "data.shared_vocab=true", "data.target_tokenizer=char"],
        ["one shared tokenizer", "word", "char"],
    ),
    "too small a vocabulary": (
        [*PAIRS, "data.tokenizer=bpe", "data.vocab_size=100"],
        ["data.vocab_size=100", "261"],
    ),
    "embeddings of two vocabularies": (
        [*PAIRS, "model.share_embeddings=true"],
        ["model.share_embeddings", "data.shared_vocab=true"],
    ),
    "embeddings of two vocabularies of one size": (
        [*PAIRS, "model.share_embeddings=true", "data.path=same_size.tsv"],
        ["model.share_embeddings", "data.shared_vocab=true"],
    ),
    "shared embeddings for labels": (
        [*LABELS, "model.share_embeddings=true"],
        ["model.share_embeddings=True", "classifier"],
    ),
    "attention to no source": (
        [*LABELS, "model=lstm", "model.attention=dot"],
        ["model.attention=dot", "classifier"],
    ),
    "pooling of pairs": ([*PAIRS, "model.pooling=first"], ["model.pooling=first"]),
    "the first position of one way": (
        [*LABELS, "model=lstm", "model.bidirectional=false", "model.pooling=first"],
        ["model.pooling=first", "model.bidirectional=false"],
    ),
    "feeding back no attention": (
        [*PAIRS, "model=lstm", "model.input_feeding=true"],
        ["model.input_feeding=true", "model.attention"],
    ),
    "outputs beyond the context": (
        [*PAIRS, "decoding.max_length=24"],
        ["max_length=24", "23"],
    ),
    "shortest outputs beyond the context": ([*PAIRS, "decoding.min_length=24"], ["min_length=24"]),
    "shortest over longest": (
        [*PAIRS, "decoding.min_length=5", "decoding.max_length=4"],
        ["min_length=5"],
    ),
    "too few batches to share": (
        [*PAIRS, "trainer=ddp", "trainer.accelerator=cpu"],
        ["the val split", "trainer.devices=2"],
    ),
    "too small a share held out": (
        [*PAIRS, "data.val_fraction=0"],
        ["data.val_fraction=0", "above 0"],
    ),
    "an unknown measure": ([*PAIRS, "task.measure=blue"], ["task.measure=blue", "bleu"]),
    "all the smoothing there is": ([*PAIRS, "task.label_smoothing=1"], ["task.label_smoothing=1"]),
    "a budget too small": ([*PAIRS, "budget.parameters=10"], ["budget.parameters=10"]),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a working folder of bad files of every kind, next to good ones."""
    monkeypatch.chdir(tmp_path)
    write_tsv(Path("pairs.tsv"), NUMBERS)
    write_tsv(Path("labels.tsv"), labelled_texts(200))
    write_tsv(Path("few.tsv"), NUMBERS[:2])
    write_tsv(Path("no_source.tsv"), [*NUMBERS[:2], ("", "one"), *NUMBERS[3:]])
    write_tsv(Path("no_target.tsv"), [*NUMBERS[:2], ("1", " "), *NUMBERS[3:]])
    long = [*NUMBERS[:LONG], (NUMBERS[LONG][0], "one " * 40), *NUMBERS[LONG + 1 :]]
    write_tsv(Path("long.tsv"), long)
    numbered = [(label, f"{n} {text}") for n, (label, text) in enumerate(labelled_texts(200))]
    write_tsv(Path("swapped.tsv"), [row[::-1] for row in numbered])
    write_tsv(Path("heading.tsv"), [("label", "sentence"), *numbered])
    write_tsv(Path("one.tsv"), [("fruit", f"pear {n}") for n in range(200)])
    write_tsv(Path("same_size.tsv"), [(f"a b {n}", f"c d {n}") for n in range(100)])
    held_out = part_of_pairs([(text, None) for _, text in labelled_texts(200)], "val")
    unseen = {text for text, _ in held_out}
    write_tsv(
        Path("unseen.tsv"),
        [("vegetable" if text in unseen else name, text) for name, text in labelled_texts(200)],
    )
    good = Path("pairs.tsv").read_text(encoding="utf-8")
    Path("no_tab.tsv").write_text(f"{good}1 2 two one\n", encoding="utf-8")
    Path("two_tabs.tsv").write_text(f"{good}1\t2\tone\n", encoding="utf-8")
    Path("latin.tsv").write_bytes("1\tone\n2\tnaïve\n".encode("latin-1") * 100)
    Path("empty.tsv").touch()
    lines = [json.dumps({"source": source, "target": target}) for source, target in NUMBERS]
    Path("broken.jsonl").write_text("\n".join([*lines[:2], lines[2][:-1]]), encoding="utf-8")
    lines = [json.dumps({"label": label, "text": text}) for label, text in labelled_texts(9)]
    Path("labels.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for name, side in (("sources.txt", 0), ("gap.txt", 1)):
        lines = [f"{pair[side]}\n" for pair in NUMBERS]
        Path(name).write_text("".join(lines), encoding="utf-8")
    lines = Path("gap.txt").read_text(encoding="utf-8").splitlines()
    Path("fewer.txt").write_text("\n".join(lines[:-1]), encoding="utf-8")
    Path("gap.txt").write_text("\n".join([*lines[:6], " ", *lines[7:]]), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("case", TRAINING)
def test_training_refuses(case, script, tiny, here):
    arguments, parts = TRAINING[case]
    refuses(script, here, "train", [*tiny, *arguments], parts)


@pytest.mark.parametrize("task", ["multi30k", "sst2", "trec"])
@pytest.mark.parametrize("where", [[], ["data.dir=nowhere"]], ids=["no folder", "not in it"])
def test_both_ways_to_get_a_published_corpus_are_named(task, where, script, here, monkeypatch):
    """Its files, or the hub, which here nobody reaches."""

    def unreachable(repository):
        raise ConnectionError(f"{repository}: nobody answers\nfor a second line")

    monkeypatch.setattr(hub, "load", unreachable)
    folder = "nowhere" if where else "DIR"
    parts = [f"{folder}/{task}", "data.dir=DIR", "hub", "nobody answers"]
    refuses(script, here, "train", [f"task={task}", "logger=none", *where], parts)


def test_a_published_corpus_of_which_a_file_is_missing(script, here):
    Path("sst2").mkdir()
    Path("sst2", "train.tsv").write_text("1\ta fine film\n", encoding="utf-8")
    words = ["task=sst2", "data.dir=.", "logger=none"]
    refuses(script, here, "train", words, ["sst2", "dev.tsv, test.tsv", "data.dir=DIR"])


def test_a_published_label_without_a_name(script, here):
    Path("sst2").mkdir()
    for name in ("train", "dev", "test"):
        Path("sst2", f"{name}.tsv").write_text("1\ta fine film\n2\ta film\n", encoding="utf-8")
    words = ["task=sst2", "data.dir=.", "logger=none"]
    refuses(script, here, "train", words, ["train.tsv, line 2", "'2'", "0, 1"])
