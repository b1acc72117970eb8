"""Test that the lessons run, and that their prose follows from their outputs.

A function for each lesson checks the facts that its prose states: on the outputs that are stored in
the notebook, and on those of a new execution. Trained models end up differently on another
processor, so facts about them leave room.
"""

import html
import re
import runpy
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = runpy.run_path(str(DOCS / "execute_lessons.py"))
LESSONS, execute = SCRIPT["LESSONS"], SCRIPT["execute"]


class Outputs:
    """The outputs of a lesson, cell by cell: its text, and its data by type."""

    def __init__(self, lesson):
        cells = [cell for cell in lesson.cells if cell.cell_type == "code"]
        self.texts = {
            cell.source: "".join(each.text for each in cell.outputs if each.output_type == "stream")
            for cell in cells
        }
        self.data = {
            kind: value
            for cell in cells
            for each in cell.outputs
            for kind, value in each.get("data", {}).items()
        }

    def of(self, code):
        """Return the text of the only cell that contains this code."""
        (text,) = [text for source, text in self.texts.items() if code in source]
        return text

    def row(self, code, start):
        """Return the numbers of the only line that starts like this, after its start."""
        lines = [line.strip() for line in self.of(code).splitlines()]
        (line,) = [line.removeprefix(start) for line in lines if line.startswith(start)]
        numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?", line)
        return [float(number.replace(",", "")) for number in numbers]


def attention_by_hand(outputs):
    assert outputs.row("scores = ", "cat") == [2, 2, 6]
    weights = outputs.of("scaled = ").partition("weights")[2]
    assert "cat    0.107   0.107   0.787" in weights
    assert "attend gives the same: True" in outputs.of("attend(q[None, None]")
    for features in (4, 64, 1024):
        _, plain, divided = [float(features), *outputs.row("std of scores", str(features))]
        assert plain == pytest.approx(features**0.5, rel=0.05)
        assert divided == pytest.approx(1, abs=0.05)
    largest, slope = outputs.row("scaled_scores", "1024   False")
    assert (largest, slope) == pytest.approx((0.97, 0.773 / 16), abs=0.02)
    assert outputs.row("scaled_scores", "1024   True") == pytest.approx([0.35, 0.77], abs=0.02)
    times_0 = outputs.of("for factor").partition("outputs, queries times 0")[2]
    assert len({line.split(maxsplit=1)[1] for line in times_0.strip().splitlines()}) == 1


def several_heads(outputs):
    counts = re.findall(r"([\d,]+) parameters", outputs.of("head_dim"))
    assert len(counts) == 4
    assert len(set(counts)) == 1
    low, middle, high = sorted(outputs.row("models = ", "1 "))
    assert middle < 40 < 80 < high
    assert min(outputs.row("models = ", "3 ")) > 97
    assert min(outputs.row("models = ", "6 ")) > 97
    for head in range(3):
        hurt = [share < 90 for share in outputs.row("without_heads", f"head {head}")]
        assert sum(hurt) > 1
    low, high = sorted(outputs.row("back=2", "1 "))
    assert low < 40 < 80 < high
    assert min(outputs.row("back=2", "2 ")) > 90


def masks_and_positions(outputs):
    assert outputs.of("changed[:, -1]").split() == [
        *("causal=True", ".......x"),
        *("causal=False", "xxxxxxxx"),
    ]
    assert outputs.row("class Guesser", "causal=True") == pytest.approx([2.30], abs=0.05)
    assert outputs.row("class Guesser", "causal=False")[0] < 1
    for causal in ("True", "False"):
        assert outputs.row("2000, LENGTH", f"causal={causal}") == pytest.approx([10], abs=3)
    assert "empty sentence are zero: True" in outputs.of("masks.not_padding")
    order = {name: outputs.row("def difference", name)[0] for name in ("no positions", "alibi")}
    assert order == {"no positions": 0, "alibi": 0}
    assert outputs.row("def difference", "sinusoidal")[0] > 0.01
    assert outputs.row("def difference", "rotary")[0] > 0.01
    near, same, far, *others = re.findall(r"score (\S+)", outputs.of("def score"))
    assert near == same == far
    assert len({near, *others}) == 3  # another distance, and the other direction
    assert outputs.row("swapped = ", "layers=1:") == [0]
    assert outputs.row("swapped = ", "layers=2:")[0] > 0.01


def encoder_and_decoder(outputs):
    kinds = outputs.of("maps.plot()").splitlines()
    assert [line.rpartition(" ")[2] for line in kinds] == ["yes", "none", "yes"]
    assert "image/png" in outputs.data
    table = {letter: outputs.row("writes  reads", letter) for letter in "gfedcba"}
    assert max(table["g"]) == table["g"][6]
    assert max(table["f"]) == table["f"][5]
    assert "['daeh', 'efacdab']" in outputs.of("def exam")
    assert outputs.row("def exam", "new words")[0] > 60
    answers = re.findall(r"'(\w*)'", outputs.of("without_heads"))
    assert len(answers) == 3
    assert len(set(answers)) == 1
    head, badcafe, same = re.findall(r"'(\w*)'", outputs.of("blind = "))
    assert (sorted(head), head != "daeh") == (sorted("head"), True)
    assert (sorted(badcafe), badcafe != "efacdab") == (sorted("badcafe"), True)
    assert same == "aaaa"
    assert outputs.row("longer = ", "words of 10 letters without a mistake:")[0] < 10


def recurrence_against_attention(outputs):
    assert min(outputs.row("right answers  4", "attention")) > 97
    for name in ("rnn", "lstm"):
        short, *long = outputs.row("right answers  4", name)
        assert short > 97
        assert max(long) < 30
    assert outputs.row("steps=600", "lstm, 16 letters, 600 steps:")[0] > 35
    influence = {name: outputs.row('print("letter   "', name) for name in ("rnn", "lstm")}
    assert influence["rnn"][0] < 1e-3 < 1e-2 < influence["lstm"][0]
    assert min(outputs.row('print("letter   "', "attention")) > 0.5
    assert outputs.row("state_size", "16 ") == [64, 1024, 16384, 9280]
    assert outputs.row("state_size", "256 ") == [64, 16384, 16384, 24640]
    assert outputs.row("short_sighted = ", "right answers:")[0] < 15
    changes = [outputs.row("for layers in", f"layers={n}: ")[0] for n in (1, 2, 3)]
    assert changes[:2] == [0, 0]
    assert changes[2] > 0


def reading_heads(outputs):
    assert "zebra zebra zebra" in outputs.of("run = minitx.train")
    text = outputs.of("text = ")
    assert "['decoder.layers.0.self', 'decoder.layers.1.self'] (4, 20, 20)" in text
    assert "largest weight on a later token: 0.0\n" in text
    assert "image/png" in outputs.data
    page = outputs.data["text/html"]
    assert page.startswith("<iframe")
    assert "srcdoc" in page
    rows = outputs.of("measure_heads").splitlines()[1:9]
    first, second = ([float(row.split()[-1]) for row in half] for half in (rows[:4], rows[4:]))
    copying = [head for head, score in enumerate(second) if score > 0.15]
    assert len(copying) == 2
    assert min(second[head] for head in copying) > 2 * max(first)
    # The page measures on a text of another length: a head near the threshold may have no name.
    named = re.findall(r'"name":"([a-z ]+)","entropy"', html.unescape(page))[-4:]
    induction = [head for head, name in enumerate(named) if name == "induction"]
    assert induction
    assert set(induction) <= set(copying)
    losses = [
        outputs.row("def loss", name)[0]
        for name in ("all heads", "without the copying", "without the other")
    ]
    assert max(losses[0], losses[2]) < 1 < 3.26 < losses[1]
    previous = outputs.row("previous token:", "previous token:")
    without = [
        outputs.row("previous token:", f"without head {head} of the first layer:")[0]
        for head in range(4)
    ]
    (needed,) = [head for head, loss in enumerate(without) if loss > 1]
    assert previous[needed] > max(previous) - 0.05
    assert sorted(without)[2] < 1
    assert "{'look': (1, 4, 5, 5)}" in outputs.of("class Tagger")


FACTS = dict(
    zip(
        LESSONS,
        (
            attention_by_hand,
            several_heads,
            masks_and_positions,
            encoder_and_decoder,
            recurrence_against_attention,
            reading_heads,
        ),
        strict=True,
    )
)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    """The path of a lesson."""
    return request.param


def test_a_lesson_asks_predicts_breaks_and_ends_with_an_answered_exercise(lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert text.partition("\n\n")[2].startswith("# ")  # after the link to the Chinese lesson
    assert "**Question.**" in text
    assert "**Predict.**" in text
    assert "\n## Break it" in text
    assert "\n## Exercise" in "\n" + cells[-3].source
    assert cells[-2].cell_type == "code"  # the answer, and below it what follows


def test_the_prose_follows_from_the_stored_outputs(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    FACTS[lesson](Outputs(notebook))


@pytest.mark.long
def test_all_lessons_run_and_their_prose_follows_again():
    """One test, because pytest-xdist would run the lessons in each process that has a part."""
    for path, notebook in zip(LESSONS, execute(LESSONS), strict=True):
        stored, fresh = Outputs(nbformat.read(path, as_version=4)), Outputs(notebook)
        assert stored.data.keys() == fresh.data.keys()
        for source, text in stored.texts.items():
            if "translate(" not in source:  # what a model writes may differ
                assert words(text) == words(fresh.texts[source])
        FACTS[path](fresh)


def words(text):
    """Return a text without its numbers, which differ a little between processors."""
    return re.sub(r"[\d.,e+\-\s]+", "#", text)
