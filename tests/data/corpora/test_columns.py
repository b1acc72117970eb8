"""Test that columns in the wrong order, headings and odd labels are pointed out."""

import json

import pytest

from minitx.data.corpora.labels import label_file
from minitx.data.corpora.pairs import pair_file
from minitx.errors import UserError

SENTIMENTS = ["negative", "positive"]
LINES = [(SENTIMENTS[n % 2], f"sentence number {n}") for n in range(3_000)]
FIELDS = ("label", "text")


@pytest.fixture
def write(tmp_path):
    def write(rows, name="mine.tsv", fields=FIELDS):
        path = tmp_path / name
        lines = [
            json.dumps(dict(zip(fields, row, strict=True)))
            if name.endswith(".jsonl")
            else "\t".join(row)
            for row in rows
        ]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


def refused(open_file, path):
    """Return the message, which is one line of readable length."""
    with pytest.raises(UserError) as error:
        open_file(path, 0.1)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) - len(str(path)) < 400
    return message


@pytest.mark.parametrize(
    ("name", "label", "text"),
    [
        ("mine.tsv", "the first column", "the second column"),
        ("mine.jsonl", 'the field "label"', 'the field "text"'),
    ],
)
def test_sentences_read_as_labels_are_refused(write, name, label, text):
    message = refused(label_file, write([row[::-1] for row in LINES], name))
    assert f"{label} is read as the label and has 3,000 different values in 3,000" in message
    assert "('sentence number 0', 'sentence number 1', 'sentence number 2', 2,997 more)" in message
    assert f"{text} is read as the text and has 2 ('negative', 'positive'): swap the two" in message


def test_repeated_sentences_read_as_labels_are_refused(write):
    rows = [(f"sentence number {n % 300}", label) for n, (label, _) in enumerate(LINES)]
    assert "has 300 different values in 3,000 examples" in refused(label_file, write(rows))


def test_a_number_for_every_text_is_refused(write):
    rows = [(f"{n / 7:.3f}", text) for n, (_, text) in enumerate(LINES)]
    message = refused(label_file, write(rows))
    assert "('0.000', '0.143', '0.286', 2,997 more)" in message
    assert message.endswith("give the same label to several texts")


def test_a_long_sentence_is_shortened(write):
    message = refused(label_file, write([(f"{n}" * 3_000, "x") for n in range(9)]))
    assert f"('{'0' * 37}...', " in message


@pytest.mark.parametrize(
    "heading", [("label", "sentence"), ("Label", "Text"), ("sentence", "label"), ("class", "tweet")]
)
def test_a_heading_above_labels_is_refused(write, heading):
    message = refused(label_file, write([heading, *LINES]))
    assert "mine.tsv, line 1: " in message
    assert "looks like a heading" in message
    assert all(word in message for word in heading)


@pytest.mark.parametrize(
    "heading", [("source", "target"), ("Text", " Translation"), ("src", "tgt")]
)
def test_a_heading_above_pairs_is_refused(write, heading):
    message = refused(pair_file, write([heading, *LINES]))
    assert "mine.tsv, line 1: " in message
    assert "looks like a heading: remove the line" in message


def test_words_that_could_be_headings_are_examples_elsewhere(write):
    assert label_file(write([*LINES, ("positive", "label")]), 0.1).notes == ()
    pairs = [row[::-1] for row in LINES]
    assert pair_file(write([("label", "label"), *pairs, ("text", "label")]), 0.1).counts["val"]
    # A label may have such a name if more than the first example has it.
    rows = [("comment", f"comment {n}") for n in range(40)]
    assert "comment" in label_file(write([*rows, *LINES]), 0.1).labels


def test_a_label_with_one_example_is_named(write):
    rows = [*LINES, ("mixed", "half and half")]
    (note,) = label_file(write(rows), 0.001).notes
    assert "1 of 3 labels" in note
    assert "a single example: 'mixed', with the text 'half and half'" in note
    assert "from the first column" in note


def test_labels_that_differ_only_in_case_or_white_space_are_named(write):
    rows = LINES + [
        (["Positive", "very  good", "very\u00a0good"][n % 3], f"{n}") for n in range(60)
    ]
    notes = label_file(write(rows), 0.05).notes
    assert [note.partition(" labels in ")[0] for note in notes] == [
        "'positive', 'Positive' are 2 of 5",
        "'very  good', 'very\\xa0good' are 2 of 5",
    ]


def test_usual_labels_need_no_note(write):
    assert label_file(write(LINES), 0.1).notes == ()
    assert label_file(write(LINES, "mine.jsonl"), 0.1).notes == ()


def test_many_labels_with_a_few_examples_each_are_allowed(write):
    rows = [(f"intent {n % 50}", f"utterance {n}") for n in range(3_000)]
    assert len(label_file(write(rows), 0.02).labels) == 50


def test_labels_that_train_lacks_are_named_with_their_place(write):
    rows = [*LINES, *[(f"rare {n}", f"rare text {n}") for n in range(50)]]
    message = refused(label_file, write(rows))
    assert " more are labels in test but not in train (read from the first column)" in message


def test_quoted_columns_are_refused(write):
    rows = [tuple(f'"{cell}"' for cell in row) for row in LINES]
    for open_file in (label_file, pair_file):
        assert "line 1: the texts are in quotes" in refused(open_file, write(rows))


def test_quoted_labels_are_named(write):
    (note,) = label_file(write([(f'"{label}"', text) for label, text in LINES]), 0.1).notes
    assert "'\"negative\"', '\"positive\"'" in note


def test_single_quoted_texts_are_examples(write):
    corpus = pair_file(write([('"Oh!"', '"Ach!"'), *LINES]), 0.1)
    assert ('"Oh!"', ('"Ach!"',)) in [pair for s in corpus.splits.values() for pair in s()]


def test_commas_in_place_of_tabs_are_pointed_out(write):
    path = write([(",".join(row),) for row in LINES])
    assert "line 1: 0 tabs in place of one: label TAB text, and commas" in refused(label_file, path)


def test_the_fields_that_an_object_has_are_named(write):
    path = write(LINES, "mine.jsonl", ("sentiment", "sentence"))
    assert refused(label_file, path).endswith('its fields are "sentiment", "sentence"')


def test_lines_with_another_number_of_columns_are_named(write):
    path = write([*LINES, ("positive", "a sentence", "2024")])
    assert "line 3001: 2 tabs in place of one: label TAB text" in refused(label_file, path)
