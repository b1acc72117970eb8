"""Test that a model reads a text as it read the same text in training."""

import json
from functools import partial
from itertools import cycle

import pytest

from minitx.data.batching.label_store import open_labels
from minitx.data.batching.pair_store import open_pairs
from minitx.data.corpora.labels import label_file
from minitx.data.corpora.pairs import pair_file, parallel_files
from minitx.decoding.encoding import encode_text
from minitx.decoding.translation import encode_source
from minitx.errors import UserError
from minitx.runs.vocabulary import PairVocabulary

KINDS = ["char", "word", "bpe", "unigram"]
CONTEXT = 1000

# White space of many kinds around a text, and texts that have some of it inside.
AROUND = [("", ""), (" ", ""), ("", "  "), ("\x0b\x0c", "\x85"), ("\u3000", "\u2028"), ("", "\xa0")]
TEXTS = [f"{n} a{middle}bé" for n in range(20) for middle in (" ", "  ", "\xa0", "\u2003", "")]
LINES = [f"{before}{text}{after}" for text, (before, after) in zip(TEXTS, cycle(AROUND))]


def same_ids(store, column, encode):
    """Check the ids of every text of a corpus, with other white space around it, too."""
    known = {}
    for split in store.splits:
        texts = [example[0] for example in store.examples(split)]
        known |= dict(zip(texts, store.ids(split, column), strict=True))
    assert set(known) == set(TEXTS)
    for text, line in zip(TEXTS, LINES, strict=True):
        for asked in (text, line, f"  {text}", f"{text}\r\n"):
            assert encode(asked) == list(known[text])


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_is_read_as_in_training(kind, tmp_path):
    records = [json.dumps({"source": line, "target": line}) for line in LINES]
    (tmp_path / "a.jsonl").write_text("\n".join(records), encoding="utf-8")
    (tmp_path / "a.txt").write_text("\n".join(LINES), encoding="utf-8")
    both = [tmp_path / "a.txt", tmp_path / "a.txt"]
    for corpus in (pair_file(tmp_path / "a.jsonl", 0.2), parallel_files(*both, 0.2)):
        store = open_pairs(corpus, kind, kind, 300, False, tmp_path / "cache")
        vocabulary = PairVocabulary(store.source_tokenizer, store.target_tokenizer)
        encode = partial(encode_source, vocabulary=vocabulary, context=CONTEXT)
        same_ids(store, "source", lambda text, encode=encode: encode(text)[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_labelled_text_is_read_as_in_training(kind, tmp_path):
    rows = [f" {'xy'[n % 2]}\t{line}\n" for n, line in enumerate(LINES)]
    (tmp_path / "a.tsv").write_text("".join(rows), encoding="utf-8")
    corpus = label_file(tmp_path / "a.tsv", 0.2)
    assert corpus.labels == ("x", "y")
    store = open_labels(corpus, kind, 300, tmp_path / "cache")
    same_ids(store, "text", lambda text: encode_text(text, store.tokenizer, CONTEXT))


@pytest.mark.parametrize(("text", "said"), [(" \u2028", "empty"), ("a\udcff", "not Unicode")])
def test_what_no_corpus_has_is_refused(text, said, tmp_path):
    rows = [f"{'xy'[n % 2]}\t{n}\n" for n in range(60)]
    (tmp_path / "a.tsv").write_text("".join(rows), encoding="utf-8")
    store = open_labels(label_file(tmp_path / "a.tsv", 0.2), "char", 300, tmp_path / "cache")
    with pytest.raises(UserError, match=f"^the text is {said}"):
        encode_text(text, store.tokenizer, CONTEXT)
    with pytest.raises(UserError, match=r"^the text is not Unicode from character 1 on"):
        store.tokenizer.encode("a\ud83d")
