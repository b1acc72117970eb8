"""Small corpora of pairs and of labels that a small model learns in seconds, and runs of them."""

import json
import math
import random
from collections import Counter
from functools import partial

from minitx.data.corpora.splits import split_of

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

HELD_OUT = 0.1

# What all small runs have in common, behind the words of tiny_runs.TINY: these win over those.
SMALL = [
    "data.batch_size=null",
    "data.tokenizer=word",
    f"data.val_fraction={HELD_OUT}",
    "model.context=24",
    "optimizer=adamw",
    "optimizer.lr=0.01",
    "optimizer.warmup_steps=10",
]


def number_pairs(count):
    """Numbers as digits, and in words from the last digit on: ("1 7", "seven one")."""
    draw = random.Random(0)
    numbers = {}  # a dict keeps its order
    while len(numbers) < count:
        numbers[tuple(draw.choices(range(10), k=draw.randint(1, 4)))] = None
    return [
        (" ".join(map(str, number)), " ".join(DIGITS[digit] for digit in reversed(number)))
        for number in numbers
    ]


# A word of each class among words of none; the first class is the most frequent.
SIGNS = {"fruit": ["apple", "pear"], "animal": ["cat", "dog", "cow"], "tool": ["saw"]}
COMMON = ["the", "a", "of", "red", "old", "and", "here", "is", "was", "some"]


def labelled_texts(count):
    """Texts of 2 to 9 words, one of which tells the class: ("fruit", "the pear is red")."""
    draw = random.Random(0)
    texts = {}
    while len(texts) < count:
        label = draw.choices(list(SIGNS), weights=[5, 3, 2])[0]
        words = draw.choices(COMMON, k=draw.randint(1, 8))
        words.insert(draw.randint(0, len(words)), draw.choice(SIGNS[label]))
        texts[" ".join(words)] = label
    return [(label, text) for text, label in texts.items()]


def write_tsv(path, records):
    path.write_text("".join(f"{one}\t{other}\n" for one, other in records), encoding="utf-8")
    return path


def write_jsonl(path, records):
    lines = [json.dumps({"label": label, "text": text}) + "\n" for label, text in records]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def part(records, split, key):
    """The records of a split, told apart by a field's hash as documented."""
    return [r for r in records if split_of(r[key], HELD_OUT, HELD_OUT) == split]


part_of_pairs = partial(part, key=0)
part_of_texts = partial(part, key=1)


def unigram_loss(learned, targets):
    """Nats a token of targets under the frequencies of tokens in those learned from, plus one.

    Each ends with one token more, for its end.
    """
    counts = Counter(token for target in learned for token in [*target.split(), "end"])
    tokens = [token for target in targets for token in [*target.split(), "end"]]
    total = sum(counts.values()) + len(counts.keys() | set(tokens))
    return -sum(math.log((counts[token] + 1) / total) for token in tokens) / len(tokens)


def majority(learned, labels):
    """The share of labels that are the most frequent one of those learned from."""
    ((most, _),) = Counter(learned).most_common(1)
    return sum(label == most for label in labels) / len(labels)
