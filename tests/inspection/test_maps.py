"""Test the maps of a run and a text: their rows, texts that cannot be read, and saved files."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from inspected import LABELLED, LABELS, PAIRS, TEXTS, lstm, make_run, transformer
from matplotlib.figure import Figure
from safetensors.torch import load_file

import minitx
from minitx.data.tokenizers.sequence import BOS, EOS
from minitx.data.tokenizers.text import train_tokenizer
from minitx.decoding.translation import WITHOUT_TEXT
from minitx.errors import UserError
from minitx.inspection.capture import capture
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.page import page
from minitx.inspection.reading import attention, influence, inspect_text
from minitx.inspection.weights import AttentionMap
from minitx.runs.vocabulary import TextVocabulary

PAIR_MODELS = {
    "plain": transformer(),
    "rotary, pre and post": transformer(position="rotary", norm_order="post"),
    "window": transformer(window=2),
    "kv_heads": transformer(kv_heads=2),
    "shared embeddings of none": transformer(tie_embeddings=False, position="alibi"),
    "lstm mixer": transformer(mixer="lstm"),
    "hybrid": transformer(mixer=["lstm", "attention"]),
    "additive": lstm(attention="additive"),
    "dot, fed": lstm(attention="dot", input_feeding=True),
}


def decode_by_steps(run, text, given=None):
    """Greedy decoding with a cache, one token at a time, or of the tokens that are given.

    Gives the tokens and, for each token, what was attended to in the step that chose it.
    """
    model, steps = run.model, []
    memory = model.encode(torch.tensor([[*PAIRS.source.encode(text), EOS]]))
    written, token, state = [], BOS, None
    while token != EOS:
        with capture(model) as captured:
            logits, state = model.decode(torch.tensor([[token]]), memory, state)
        logits[0, 0, list(WITHOUT_TEXT)] = -torch.inf
        logits[0, 0, EOS] += 100 * (len(written) == run.config.decoding.max_length)
        token = int(logits[0, 0].argmax())
        if given is not None:
            token = [*given, EOS][len(written)]
        steps.append({name: weights[0] for name, weights in captured.items()})
        written.append(token)
    return written, steps


@pytest.mark.parametrize("given", [None, "three one seven two"])
@pytest.mark.parametrize("name", PAIR_MODELS)
def test_a_row_belongs_to_the_token_that_it_chose(name, given):
    run = make_run(PAIRS, PAIR_MODELS[name])
    maps = attention(run, "abcdefgh", output=given)
    ids = None if given is None else PAIRS.target.encode(given)
    written, steps = decode_by_steps(run, "abcdefgh", ids)
    assert len(written) >= 3
    spelt = PAIRS.target.spell(written)
    for each in maps.maps:
        if each.kind == "encoder":
            assert each.queries == each.keys == (*"abcdefgh", "<eos>")
            continue
        rows = torch.stack([_padded(step[each.name], each.weights) for step in steps], dim=1)
        torch.testing.assert_close(each.weights, rows)  # row t is that of step t ...
        assert each.weights[:, 1:].ne(each.weights[:, :-1]).flatten(2).any(-1).all()  # no other's
        if each.kind == "cross":  # ... which chose token t
            assert each.queries == tuple(spelt)
            assert each.keys == (*"abcdefgh", "<eos>")
        else:  # ... after it had read the one before
            assert each.queries == each.keys == ("<bos>", *spelt[:-1])
    assert {each.kind for each in maps.maps} >= {"cross"}


def _padded(step, weights):
    """The weights (H, 1, keys so far) of a step as a row (H, keys) of the whole."""
    return torch.nn.functional.pad(step[:, 0], (0, weights.size(-1) - step.size(-1)))


def test_the_output_is_the_one_that_decoding_finds():
    run = make_run(PAIRS, transformer())
    written, _ = decode_by_steps(run, "abc")
    maps = attention(run, "abc")
    assert maps.about["output"] == PAIRS.target.decode(written)
    assert maps["decoder.layers.0.cross"].shape == (4, len(written), 4)


def test_parts_of_a_character_are_labelled_with_their_bytes(tmp_path):
    """In the maps, in the influence, on the page and in the saved files."""
    expected = (r"\xf0", r"\x9f", r"\x99", r"\x82", r"\xf0", r"\x9f", r"\x99", r"\x83")
    run = make_run(TextVocabulary(train_tokenizer("byte", 0, [])), transformer())
    maps = inspect_text(run, "🙂🙃")
    assert all(each.queries == each.keys == expected for each in maps.maps)
    assert maps.influence.sources == expected
    assert maps.influence.targets[:-1] == expected[1:]
    assert maps.about["output"] == maps.influence.targets[-1] != "\ufffd"
    assert json.dumps(expected, separators=(",", ":")) in page(maps)
    _, words = maps.save(tmp_path)
    assert json.loads(words.read_text(encoding="utf-8"))["maps"][0]["keys"] == list(expected)


def test_a_language_model_reads_the_text_once():
    run = make_run(TEXTS, transformer())
    maps = attention(run, "bad. a")
    assert list(maps) == ["decoder.layers.0.self", "decoder.layers.1.self"]
    for each in maps.maps:
        assert each.queries == each.keys == tuple("bad. a")
        assert each.weights.shape == (4, 6, 6)
        assert (each.weights.triu(1) == 0).all()
        torch.testing.assert_close(each.weights.sum(-1), torch.ones(4, 6))
    shorter = attention(run, "bad.")  # what came before does not see what comes after
    torch.testing.assert_close(maps[each.name][:, :4, :4], shorter[each.name])
    logits, _ = run.model(torch.tensor([TEXTS.tokenizer.encode("bad. a")]))
    guess = int(logits[0, -1].argmax())
    assert maps.about["output"] == TEXTS.tokenizer.decode([guess])


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_classifier_reads_the_beginning_and_the_text(pooling):
    run = make_run(LABELLED, transformer(pooling=pooling))
    maps = attention(run, "two one two")
    assert list(maps) == ["encoder.layers.0.self", "encoder.layers.1.self"]
    assert maps.maps[0].queries == maps.maps[0].keys == ("<bos>", "two", "one", "two")
    logits = run.model(torch.tensor([[BOS, *LABELLED.tokenizer.encode("two one two")]]))
    assert maps.about["output"] == LABELS[int(logits.argmax())]


def test_only_the_layers_and_heads_asked_for():
    run = make_run(PAIRS, transformer())
    everything = attention(run, "abc")
    part = attention(run, "abc", layers=[1], heads=[2, 0])
    assert list(part) == [name for name in everything if ".1." in name]
    for each in part.maps:
        assert each.heads == (2, 0)
        torch.testing.assert_close(each.weights, everything[each.name][[2, 0]])
    assert everything.maps[0].heads == (0, 1, 2, 3)
    with pytest.raises(UserError, match=r"layers=\[2\]: the model has layers 0 to 1"):
        attention(run, "abc", layers=[2])
    with pytest.raises(UserError, match=r"heads=\[4\]: encoder.layers.0.self has heads 0 to 3"):
        attention(run, "abc", heads=[4])


@pytest.mark.parametrize("text", ["", " \n"])
@pytest.mark.parametrize("vocabulary", [PAIRS, LABELLED])
def test_an_empty_text(vocabulary, text):
    with pytest.raises(UserError, match=r"^the text is empty$"):
        attention(make_run(vocabulary, transformer()), text)


def test_white_space_is_text_to_a_language_model():
    run = make_run(TEXTS, transformer())
    assert attention(run, " ").maps[0].queries == (" ",)
    with pytest.raises(UserError, match=r"^the text is empty$"):
        attention(run, "")


@pytest.mark.parametrize("around", [" ", "\t\n", "\u3000"])
def test_white_space_around_a_text_makes_no_difference(around):
    """To models of pairs and labels, as in training; nor around an output or a label."""
    outputs = {PAIRS: ("ab", "one two"), LABELLED: ("one two", "animal")}
    for vocabulary, (text, output) in outputs.items():
        run = make_run(vocabulary, transformer())
        for given in (None, output):
            plain = attention(run, text, output=given)
            padded = given and f"{around}{given}{around}"
            for written in (f"{around}{text}", f"{text}{around}", f"{around}{text}{around}"):
                maps = attention(run, written, output=padded)
                assert maps.about == plain.about
                for one, other in zip(maps.maps, plain.maps, strict=True):
                    assert (one.queries, one.keys) == (other.queries, other.keys)
                    assert torch.equal(one.weights, other.weights)
            assert plain.about["text"] == text
            assert given is None or plain.about["output"] == given
            columns = influence(run, f"{around}{text}", output=given).sources
            assert columns == influence(run, text, output=given).sources


def test_a_text_beyond_the_context():
    texts = {TEXTS: "a" * 17, PAIRS: "a" * 16, LABELLED: "one " * 16}
    for vocabulary, text in texts.items():
        run = make_run(vocabulary, transformer())
        with pytest.raises(UserError, match=r"17 tokens.*the model reads 16.*truncate=true"):
            attention(run, text)
        maps = attention(run, text, truncate=True)
        assert len(maps.maps[0].keys) == 16
        (note,) = maps.about["notes"]
        assert note.startswith(f"the first {16 if vocabulary is TEXTS else 15} tokens of ")
    assert attention(make_run(PAIRS, transformer()), "a" * 15).about["notes"] == []


def test_an_output_beyond_the_context_keeps_its_rows_right():
    run = make_run(PAIRS, transformer())
    words = ["one", "two", "three", "four"] * 4  # 16, and <bos>
    with pytest.raises(UserError, match="the output has 17 tokens"):
        attention(run, "abc", output=" ".join(words))
    maps = attention(run, "abc", output=" ".join(words), truncate=True)
    cross, own = maps.maps[-1], maps.maps[-2]
    assert own.queries == ("<bos>", *words[:15])
    assert cross.queries == tuple(words)  # the last row did not choose <eos>


def test_what_the_tokenizers_do_not_know():
    with pytest.raises(UserError, match="does not know 'z'"):
        attention(make_run(TEXTS, transformer()), "az")
    maps = attention(make_run(PAIRS, transformer()), "azb", output="one none")
    assert maps.maps[0].keys == ("a", "<unk>", "b", "<eos>")
    assert maps.maps[-1].queries == ("one", "<unk>", "<eos>")
    assert maps.about["notes"] == [
        "<unk> in the text stands for characters that the model never saw",
        "<unk> in the output stands for words that the model never saw",
    ]
    with pytest.raises(UserError, match=r"^the text is not Unicode from character 1 on: .*UTF-8$"):
        attention(make_run(TEXTS, transformer()), "a\udce9")


def test_outputs_that_make_no_sense():
    with pytest.raises(UserError, match="a language model takes only a text"):
        attention(make_run(TEXTS, transformer()), "abc", output="d")
    with pytest.raises(
        UserError, match=r"^'stone' is not a label of this run: it has fruit, animal"
    ):
        attention(make_run(LABELLED, transformer()), "one", output="stone")
    with pytest.raises(UserError, match=r"^the output is empty$"):
        attention(make_run(PAIRS, transformer()), "abc", output=" ")


@pytest.mark.parametrize(
    ("vocabulary", "config", "text"),
    [
        (TEXTS, lstm(), "abc"),
        (PAIRS, lstm(), "abc"),
        (LABELLED, transformer(mixer="average"), "one two"),
    ],
)
def test_a_model_without_attention_names_its_influence(vocabulary, config, text):
    run = make_run(vocabulary, config)
    with pytest.raises(UserError, match=f"^{config.name}.* on .* has no attention.*influence"):
        attention(run, text)
    found = inspect_text(run, text)
    assert len(found) == 0
    torch.testing.assert_close(found.influence.weights, influence(run, text).weights)


@pytest.mark.parametrize("vocabulary", [TEXTS, PAIRS, LABELLED])
def test_everything_together_is_both(vocabulary):
    run, text = make_run(vocabulary, transformer()), "one two" if vocabulary is LABELLED else "abc"
    both, maps = inspect_text(run, text, layers=[1]), attention(run, text, layers=[1])
    assert both.about == maps.about
    assert list(both) == list(maps)
    assert all(torch.equal(both[name], maps[name]) for name in maps)
    assert both.influence.targets == influence(run, text).targets
    assert maps.influence is None


def test_it_is_offered_by_the_package():
    assert minitx.attention is attention


def test_its_description_is_complete():
    run = make_run(PAIRS, transformer())
    maps = attention(run, "abc", heads=[1])
    assert maps.title == "transformer on cmudict, step 9,000"
    assert maps.about | {"output": ""} == {
        "run": "7",
        "checkpoint": "best.ckpt",
        "step": 9000,
        "task": "cmudict",
        "objective": "sequence to sequence",
        "model": "transformer",
        "text": "abc",
        "output": "",
        "notes": [],
        "settings": {
            "layers": None,
            "heads": [1],
            "truncate": False,
            "output_given": False,
            "decoding": {"beam": 1, "length_penalty": 0.6, "min_length": 0, "max_length": 6},
        },
    }


def test_names_lead_to_weights():
    weights = torch.eye(2)[None]
    each = AttentionMap("encoder.layers.0.self", weights, ("a", "b"), ("a", "b"), (0,))
    maps = AttentionMaps((each,), "a title", {})
    assert maps["encoder.layers.0.self"] is weights
    assert dict(maps) == {"encoder.layers.0.self": weights}
    assert "encoder.layers.1.self" not in maps
    with pytest.raises(KeyError, match=r"no map 'decoder.cross'; there are encoder.layers.0.self"):
        maps["decoder.cross"]


@pytest.mark.parametrize(
    ("vocabulary", "config", "text"),
    [
        (PAIRS, transformer(), "abz"),
        (TEXTS, transformer(), "a b"),
        (TEXTS, lstm(), "a b"),
    ],
)
def test_saved_maps_come_back(tmp_path, vocabulary, config, text):
    found = inspect_text(make_run(vocabulary, config), text)
    folder = tmp_path / "new" / "folder"
    files = found.save(folder)
    assert found.save(folder) == files  # over what is there
    assert files == (folder / "attention.safetensors", folder / "attention.json")
    assert sorted(folder.iterdir()) == sorted(files)
    tensors = load_file(files[0])
    expected = dict(found) | {"influence": found.influence.weights}
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    described = json.loads(Path(files[1]).read_text(encoding="utf-8"))
    assert described == {
        "title": found.title,
        "about": found.about,
        "maps": [
            {
                "name": each.name,
                "heads": list(each.heads),
                "queries": list(each.queries),
                "keys": list(each.keys),
            }
            for each in found.maps
        ],
        "influence": {
            "targets": list(found.influence.targets),
            "sources": list(found.influence.sources),
        },
    }


def test_a_part_of_the_heads_is_saved_as_such(tmp_path):
    maps = attention(make_run(TEXTS, transformer()), "abc", heads=[3])
    weights, words = maps.save(tmp_path)
    assert {tuple(t.shape) for t in load_file(weights).values()} == {(1, 3, 3)}
    assert "influence" not in json.loads(words.read_text(encoding="utf-8"))


def test_pictures_of_maps():
    maps = attention(make_run(PAIRS, transformer()), "abc")
    assert isinstance(maps.plot(), Figure)
    assert isinstance(maps.plot("cross"), Figure)
    with pytest.raises(UserError):
        attention(make_run(TEXTS, transformer()), "abc").plot("cross")


def test_a_notebook_is_shown_the_page(monkeypatch):
    maps, shown = attention(make_run(TEXTS, transformer()), "abc"), []
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", ModuleType("IPython.display"))
    sys.modules["IPython.display"].display = lambda data, raw: shown.append(data)
    maps.show()
    (data,) = shown
    assert data["text/html"].startswith("<iframe")
    assert data["text/plain"] == "transformer on shakespeare, step 9,000"
    monkeypatch.setitem(sys.modules, "IPython.display", None)  # not installed
    with pytest.raises(UserError, match="Jupyter"):
        maps.show()
