"""Test `minitx explain`: the tutorial, a trained run, files, and errors."""

from pathlib import Path

import pytest
import torch

import minitx
from minitx.inspection.reading import attention

ROOT = Path(__file__).parents[2]
TEXT = "king of men"


@pytest.fixture(scope="module")
def folder(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a run, with (odd) name='x'"
    train(f"run.dir={folder}", "trainer.max_steps=5", "model.layers=2")
    return folder


@pytest.fixture(scope="module")
def recurrent(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(f"run.dir={folder}", "trainer.max_steps=5", "model=lstm")
    return folder


def written(script, *arguments):
    answer = script("explain", *arguments)
    assert answer.status == 0, answer.err
    assert answer.err == ""
    return answer.out


def rows_of(markdown, name):
    """The cells of each row of the first table of this name in a Markdown page."""
    _, _, rest = markdown.partition(f"| {name} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines]


def test_the_tutorial_is_printed(script):
    out = written(script)
    lines = [line.split() for line in out.splitlines()]
    for row in ("The 3 1 1", "The 0.7870 0.1065 0.1065 1.0000", "The 0.8935 0.2130 1.1065 1.5740"):
        assert row.split() in lines  # scores, weights, outputs of one head
    assert ["The", "0.8916", "0.5542", "1.1867", "1.5358"] in lines  # two heads, joined
    for formula in ("q = x Wq", "s = q k^T / sqrt(4)", "s = q k^T / sqrt(2)", "y = w v"):
        assert formula in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (0, 3), (1, 2)])
def test_the_tables_of_a_trained_head(layer, head, script, folder):
    out = written(
        script,
        *(f"run={folder}", f"layer={layer}", f"head={head}", f"text={TEXT}", "format=markdown"),
    )
    weights = attention(minitx.load(folder), TEXT)[f"decoder.layers.{layer}.self"][head]
    found = rows_of(out, "w")
    assert len(found) == len(weights) == len(TEXT)
    for i, (cells, row) in enumerate(zip(found, weights, strict=True)):
        assert cells[-1] == "1.0000"
        assert set(cells[i + 1 : -1]) <= {"–"}  # what comes later is hidden
        shown = torch.tensor([float(cell) for cell in cells[: i + 1]])
        torch.testing.assert_close(shown, row[: i + 1], atol=6e-4, rtol=0)


def test_a_checkpoint_alone_is_enough(script, folder, tmp_path):
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes((folder / "checkpoints" / "best.ckpt").read_bytes())
    words = (f"text={TEXT}", "head=1")
    assert written(script, f"run={lone}", *words) == written(script, f"run={folder}", *words)


@pytest.mark.parametrize("format", ["text", "html", "markdown"])
def test_a_file_holds_what_would_be_printed(format, script, tmp_path):
    file = tmp_path / "a page, of sorts"
    assert written(script, f"format={format}", f"output={file}") == f"{file}\n"
    printed = written(script, f"format={format}")
    assert file.read_text(encoding="utf-8") == printed
    start = {"text": "Self", "html": "<!doctype html>", "markdown": "# Self"}[format]
    assert printed.startswith(start)


def test_a_token_is_escaped_in_a_page(script, train, tmp_path_factory):
    place = tmp_path_factory.mktemp("bytes")
    train(f"run.dir={place / 'run'}", "trainer.max_steps=2", "data.tokenizer=byte")
    page = written(script, f"run={place / 'run'}", "text=<b>&", "format=html")
    assert "<b>" not in page
    for token in ("&lt;", "&gt;", "&amp;"):
        assert f"<bdi>{token}</bdi>" in page


def test_a_long_text_may_be_cut(script, folder):
    out = written(script, f"run={folder}", f"text={'king of men ' * 3}", "truncate=true")
    assert "the first 16 tokens of 36" in out


REFUSED = {
    "empty text": (["text="], ["text", "empty"]),
    "no text": ([], ["text="]),
    "too long a text": ([f"text={'k' * 17}"], ["17 tokens", "16", "truncate=true"]),
    "unknown characters": (["text=king§"], ["§"]),
    "layer out of range": (["text=king", "layer=2"], ["layer=2", "0 to 1"]),
    "layer below zero": (["text=king", "layer=-1"], ["layer=-1", "0 to 1"]),
    "head out of range": (["text=king", "head=4"], ["head=4", "0 to 3"]),
    "no such part": (["text=king", "part=cross"], ["part=cross", "decoder"]),
    "unknown part": (["text=king", "part=crosss"], ["did you mean cross?"]),
    "unknown format": (["text=king", "format=pdf"], ["format=pdf", "html"]),
    "unknown key": (["text=king", "heads=1"], ["heads", "did you mean head?"]),
    "word for a number": (["text=king", "head=first"], ["head", "first"]),
    "output is there": (["text=king", "output=there"], ["output=HERE/there already exists"]),
    "output cannot be": (
        ["text=king", "output=there/x"],
        ["output=HERE/there/x cannot be written"],
    ),
    "unknown device": (["text=king", "device=abacus"], ["device=abacus"]),
}


def refuses(script, arguments, parts):
    """Run the script and check how it refuses. HERE in a part is the working folder."""
    answer = script("explain", *arguments)
    assert answer.status == 1
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1, answer.err
    here = str(Path.cwd())
    assert all(part.replace("HERE", here) in answer.err for part in parts), answer.err


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_explained(case, script, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("years of work", encoding="utf-8")
    arguments, parts = REFUSED[case]
    refuses(script, [f"run={folder}", *arguments], parts)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert Path("there").read_text(encoding="utf-8") == "years of work"


def test_a_model_without_attention(script, recurrent):
    refuses(script, [f"run={recurrent}", "text=king"], ["no attention", "lstm"])


def test_no_run(script):
    refuses(script, ["run=nowhere", "text=king"], ["nowhere", "does not exist"])
    refuses(script, ["text=king"], ["text=", "run="])
    refuses(script, ["head=1"], ["head=", "run="])


def test_help_names_the_keys(script):
    answer = script("explain", "--help")
    assert answer.status == 0
    assert "layer=null" in answer.out
