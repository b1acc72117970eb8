"""Test `minitx inspect`: what it writes for every kind of run, and its errors."""

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from example_corpora import SMALL, labelled_texts, number_pairs, write_jsonl, write_tsv
from safetensors.torch import load_file

import minitx
from minitx.inspection.induction import induction_score
from minitx.inspection.reading import influence
from minitx.inspection.token_labels import visible

FILES = {f"attention.{ending}" for ending in ("html", "png", "svg", "safetensors", "json")}
HOSTILE = """<script>alert("x")</script>"""
FEW = ["trainer.max_steps=2", "trainer.val_every=2"]
TEXT = "king of men"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_tsv(tmp_path_factory.mktemp("pairs") / "numbers.tsv", number_pairs(200))


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Some texts hold a word that a page must not take for markup."""
    texts = [(label, f"{text} {HOSTILE}") for label, text in labelled_texts(200)]
    return write_jsonl(tmp_path_factory.mktemp("labels") / "texts.jsonl", texts)


@pytest.fixture(scope="module")
def folder(train, pairs, labels, tmp_path_factory):
    """The folder of a run of a kind; each kind is trained once."""
    examples = [*SMALL, "data.batch_tokens=300", "model.dim=8", "decoding.beam=1"]
    kinds = {
        "text": ["model.layers=2"],
        "text, lstm": ["model=lstm"],
        "text, bytes": ["data.tokenizer=byte"],
        "pairs": ["task=pairs", f"data.path={pairs}", *examples],
        "pairs, lstm": ["task=pairs", f"data.path={pairs}", *examples, "model=lstm"],
        "labels": ["task=labels", f"data.path={labels}", *examples],
    }
    kinds["pairs, lstm"] += ["model.attention=additive"]
    place, known = tmp_path_factory.mktemp("a place, 'with' (odd) names"), set()

    def folder(kind):
        if kind not in known:
            train(*kinds[kind], *FEW, f"run.dir={place / kind}")
            known.add(kind)
        return place / kind

    return folder


@pytest.fixture
def inspect(script, tmp_path):
    """Inspects a run into a new folder; gives that and what was printed."""

    def inspect(run, *arguments):
        where = tmp_path / "looked, into"
        answer = script("inspect_attention", f"run={run}", f"dir={where}", *arguments)
        assert (answer.status, answer.err) == (0, "")
        for file in where.iterdir():
            assert f"  {file}\n" in answer.out
        return where, answer.out

    return inspect


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the JSON in it."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self.inside = [], {}, []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        self.inside = [one for one in self.inside if one[0] != tag]

    def handle_data(self, data):
        if self.inside:
            self.text[self.inside[-1]] = self.text.get(self.inside[-1], "") + data

    @property
    def runs(self):
        return json.loads(self.text["script", "data"])


def page_in(where):
    return Page((where / "attention.html").read_text(encoding="utf-8"))


TEXTS = {
    "text": TEXT,
    "pairs": "1 2 3",
    "pairs, lstm": "1 2 3",
    "labels": f"the old cat {HOSTILE}",
}
MAPS = {
    "text": ["decoder.layers.0.self", "decoder.layers.1.self"],
    "pairs": [
        *["encoder.layers.0.self", "decoder.layers.0.self", "decoder.layers.0.cross"],
    ],
    "pairs, lstm": ["decoder.cross"],
    "labels": ["encoder.layers.0.self"],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_all_files_hold_what_the_model_attends_to(kind, inspect, folder):
    where, out = inspect(folder(kind), f"text={TEXTS[kind]}")
    assert {file.name for file in where.iterdir()} == FILES
    run = minitx.load(folder(kind))
    maps, expected = minitx.attention(run, TEXTS[kind]), influence(run, TEXTS[kind])
    assert list(maps) == MAPS[kind]

    tensors = load_file(where / "attention.safetensors")
    assert set(tensors) == {*maps, "influence"}
    for name, weights in maps.items():
        assert torch.equal(tensors[name], weights)
    torch.testing.assert_close(tensors["influence"], expected.weights)

    words = json.loads((where / "attention.json").read_text(encoding="utf-8"))
    for said, each in zip(words["maps"], maps.maps, strict=True):
        assert said["name"] == each.name
        assert tuple(said["queries"]) == each.queries
        assert tuple(said["keys"]) == each.keys
    assert (words["about"]["text"], words["about"]["checkpoint"]) == (TEXTS[kind], "best.ckpt")

    assert (where / "attention.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert ElementTree.parse(where / "attention.svg").getroot().tag.endswith("svg")
    (shown,) = page_in(where).runs
    assert {layer["name"] for each in shown["kinds"] for layer in each["layers"]} == set(tensors)
    for name, weights in maps.items():
        rows = [line.split() for line in out.splitlines() if line.startswith(f"{name} ")]
        assert [int(row[1]) for row in rows] == list(range(len(weights)))


def test_without_dir_it_is_the_folder_of_the_run(script, folder):
    place = folder("text")
    before = {path.name for path in place.iterdir()}
    assert script("inspect_attention", f"run={place}", f"text={TEXT}").status == 0
    assert {path.name for path in place.iterdir()} - before == FILES


def test_the_table_has_the_induction_score_of_a_language_model(inspect, folder):
    _, out = inspect(folder("text"), f"text={TEXT}", "layers=[1]", "heads=[3]")
    run = minitx.load(folder("text"))
    score = induction_score(run.model, run.tokenizer.vocab_size)["decoder.layers.1.self"][3]
    (row,) = [line for line in out.splitlines() if "decoder.layers.1.self" in line]
    assert row.split()[-1] == f"{float(score):.3f}"
    # With all the measures there are, the table keeps to a terminal of 80 columns.
    titles = (
        "entropy distance on on on attention head (nats) (tokens) first previous itself induction"
    )
    assert titles in " ".join(out.split())
    assert len(row) <= 76  # layers and heads of two digits take two more


def test_the_output_is_named_and_can_be_seen(inspect, folder):
    run = minitx.load(folder("text"))
    maps = minitx.attention(run, TEXT)
    assert maps.output_name == "next token"
    _, out = inspect(folder("text"), f"text={TEXT}")
    assert f"next token: {visible(maps.about['output'])}\n" in out
    _, out = inspect(folder("labels"), f"text={TEXTS['labels']}")
    assert "\nlabel: " in out


@pytest.mark.parametrize(
    ("kind", "text"),
    [("labels", f"the {HOSTILE} cat"), ("text, bytes", "<script>\"'&"), ("pairs", HOSTILE)],
)
def test_no_text_becomes_a_part_of_the_page(kind, text, inspect, folder):
    where, _ = inspect(folder(kind), f"text={text}")
    page = page_in(where)
    assert [tag for tag, _ in page.elements].count("script") == 2  # the data, and what draws them
    assert text not in (where / "attention.html").read_text(encoding="utf-8")
    assert not [name for _, given in page.elements for name in given if name.startswith("on")]
    (run,) = page.runs
    assert ["text", text] in run["passages"]
    tokens = {token for each in run["kinds"] for token in each["layers"][0]["keys"]}
    expected = {"labels": {HOSTILE, "cat"}, "text, bytes": set(text), "pairs": {"<unk>"}}[kind]
    assert expected <= tokens


def test_only_the_layers_and_heads_that_are_asked_for(inspect, folder):
    where, out = inspect(folder("text"), f"text={TEXT}", "layers=[0]", "heads=[1]")
    tensors = load_file(where / "attention.safetensors")
    whole = minitx.attention(folder("text"), TEXT)["decoder.layers.0.self"]
    assert set(tensors) == {"decoder.layers.0.self", "influence"}
    assert torch.equal(tensors["decoder.layers.0.self"], whole[[1]])
    (shown,) = page_in(where).runs
    kept = [layer["heads"] for each in shown["kinds"] for layer in each["layers"]]
    assert kept == [[1], [0]]  # the head, and the influence, which is of none
    assert "decoder.layers.1.self" not in out


def test_two_runs_in_one_page(inspect, folder):
    where, _ = inspect(folder("text"), f"other={folder('text, lstm')}", f"text={TEXT}")
    runs = page_in(where).runs
    assert [run["title"].split()[0] for run in runs] == ["transformer", "lstm"]
    assert [[each["kind"] for each in run["kinds"]] for run in runs] == [
        ["decoder", "influence"],
        ["influence"],
    ]


def test_a_model_without_attention_has_its_influence_shown(inspect, folder):
    where, out = inspect(folder("text, lstm"), f"text={TEXT}")
    assert {file.name for file in where.iterdir()} == FILES - {"attention.png", "attention.svg"}
    note = "this lstm has no attention: the page shows the influence of every token"
    assert f"note: {note}" in " ".join(out.split())
    (shown,) = page_in(where).runs
    assert note in " ".join(shown["notes"])
    assert [each["kind"] for each in shown["kinds"]] == ["influence"]
    expected = influence(minitx.load(folder("text, lstm")), TEXT).weights
    torch.testing.assert_close(load_file(where / "attention.safetensors")["influence"], expected)


def test_a_note_says_that_a_text_was_cut(inspect, folder):
    where, out = inspect(folder("text"), f"text={'king of men ' * 2}", "truncate=true")
    assert "note: the first 16 tokens of 24" in out
    tensors = load_file(where / "attention.safetensors")
    assert tensors["decoder.layers.0.self"].shape == (4, 16, 16)


def test_a_given_output_is_followed(inspect, folder):
    where, out = inspect(folder("pairs"), "text=1 2", "target=two one")
    words = json.loads((where / "attention.json").read_text(encoding="utf-8"))
    cross = next(each for each in words["maps"] if each["name"] == "decoder.layers.0.cross")
    assert cross["queries"] == ["two", "one", "<eos>"]
    assert "output: two one\n" in out


RUN = "run=good.ckpt"
OLD = Path(__file__).parents[1] / "old_runs" / "language_modeling"
REFUSED = {
    "no run": (["text=king"], ["run="]),
    "no text": ([RUN], ["text="]),
    "empty text": ([RUN, "text="], ["text", "empty"]),
    "too long a text": ([RUN, f"text={'k' * 17}"], ["17 tokens", "16", "truncate=true"]),
    "unknown characters": ([RUN, "text=king§"], ["§"]),
    "layer out of range": ([RUN, "text=king", "layers=[2]"], ["layers=[2]", "0 to 1"]),
    "head out of range": ([RUN, "text=king", "heads=[1,4]"], ["heads=[1, 4]", "0 to 3"]),
    "no heads": ([RUN, "text=king", "heads=[]"], ["heads=[]", "0 to 3"]),
    "a head that is no list": ([RUN, "text=king", "heads=1"], ["heads=[...]", "list"]),
    "output of a language model": ([RUN, "text=king", "target=of"], ["language model"]),
    "folder that is no run": (["run=folder", "text=king"], ["folder", "no checkpoint"]),
    "nowhere": (["run=nowhere", "text=king"], ["nowhere", "does not exist"]),
    "damaged checkpoint": (["run=half.ckpt", "text=king"], ["half.ckpt", "damaged"]),
    "other damaged": ([RUN, "other=half.ckpt", "text=king"], ["half.ckpt", "damaged"]),
    "a text that the other cannot read": (
        [RUN, f"other={OLD}", f"third={OLD}", "text=ROMEO"],
        ["other=", str(OLD), "does not know"],
    ),
    "a text that the third cannot read": (
        [RUN, "other=good.ckpt", f"third={OLD}", "text=ROMEO"],
        ["third=", str(OLD), "does not know"],
    ),
    "a checkpoint of others": (["run=other.ckpt", "text=king"], ["other.ckpt", "not one of"]),
    "a folder that cannot be": ([RUN, "text=king", "dir=half.ckpt/x"], ["half.ckpt/x", "dir="]),
    "unknown key": ([RUN, "text=king", "layer=1"], ["layer", "did you mean layers?"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_inspected_is_refused(case, script, folder, tmp_path, monkeypatch):
    good = (folder("text") / "checkpoints" / "best.ckpt").read_bytes()
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("good.ckpt").write_bytes(good)
    Path("half.ckpt").write_bytes(good[: len(good) // 2])
    torch.save({"a": 1}, "other.ckpt")
    before = set(tmp_path.rglob("*"))
    arguments, parts = REFUSED[case]
    answer = script("inspect_attention", *arguments)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1, answer.err
    assert all(part in answer.err for part in parts), answer.err
    assert set(tmp_path.rglob("*")) == before
