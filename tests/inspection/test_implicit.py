"""Test implicit maps of recurrences, from a run to the page, the picture, files and the table."""

import json

import pytest
import torch
from inspected import LABELLED, PAIRS, TEXTS, lstm, make_run, transformer
from made_maps import language_model
from safetensors.torch import load_file

from minitx.errors import UserError
from minitx.inspection.grid import attention_grid
from minitx.inspection.implicit import find_implicit
from minitx.inspection.maps import AttentionMaps
from minitx.inspection.measures import measure_heads
from minitx.inspection.packing import pack, unpack
from minitx.inspection.page_data import run_data
from minitx.inspection.reading import attention, inspect_text
from minitx.inspection.report import show_inspection
from minitx.inspection.weights import AttentionMap, scales_of
from minitx.nn import mixers

HYBRID = {"mixer": ["gated_deltanet", "attention"], "heads": 2}
SIGNED = torch.tensor([[[0.5, 0.0, 0.0], [-0.3, 0.1, 0.0], [0.0, -1.5, 0.5]]])
TOKENS = ("a", "b", "c")


def signed(name="decoder.layers.0.implicit", weights=SIGNED):
    return AttentionMap(name, weights, TOKENS, TOKENS, tuple(range(len(weights))))


def mapped(run, name, text):
    """The weights of a mixer while the run's model reads a text, from the mixer itself."""
    mixer, caught = find_implicit(run.model)[name], []
    mixer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs))
    attention(run, text)
    return mixer.implicit_map(*caught[0][:2])[0][0].detach()


def test_a_hybrid_shows_both_kinds_layer_by_layer():
    run = make_run(TEXTS, transformer(**HYBRID))
    maps = inspect_text(run, "abc def")
    assert maps.title == "transformer (gated_deltanet, attention) on shakespeare, step 9,000"
    assert [(each.name, each.kind) for each in maps.maps] == [
        ("decoder.layers.0.implicit", "implicit decoder"),
        ("decoder.layers.1.self", "decoder"),
    ]
    torch.testing.assert_close(
        maps.maps[0].weights, mapped(run, "decoder.layers.0.implicit", "abc def")
    )
    assert maps.influence is not None
    assert any("Katharopoulos et al. 2020" in note for note in maps.about["notes"])
    assert list(attention(run, "abc", layers=[0])) == ["decoder.layers.0.implicit"]
    assert attention(run, "abc", heads=[1]).maps[0].heads == (1,)
    with pytest.raises(UserError, match=r"layers=\[2\]: the model has layers 0 to 1"):
        attention(run, "abc", layers=[2])


@pytest.mark.parametrize(
    ("vocabulary", "text", "names"),
    [
        (PAIRS, "abcd", ["encoder.layers.0.implicit", "decoder.layers.0.implicit"]),
        (LABELLED, "one two three", ["encoder.layers.0.implicit"]),
    ],
)
def test_every_side_of_a_model_has_its_tokens(vocabulary, text, names):
    maps = attention(make_run(vocabulary, transformer(mixer="gated_deltanet", layers=1)), text)
    assert [name for name in maps if name.endswith("implicit")] == names
    for each in maps.maps:
        assert each.weights.shape[1:] == (len(each.queries), len(each.keys))


def test_channels_are_shown_as_their_mean_and_one_by_one():
    run = make_run(TEXTS, transformer(mixer="mingru", expansion=2))
    maps, name = inspect_text(run, "abc def"), "decoder.layers.1.implicit"
    whole = mapped(run, name, "abc def")
    assert len(whole) == 16
    torch.testing.assert_close(maps[name], whole.mean(dim=0, keepdim=True))
    assert maps.maps[0].mean_of == 16
    assert any("the mean over 16 channels" in note for note in maps.about["notes"])
    some = attention(run, "abc def", heads=[15, 3]).maps[1]
    torch.testing.assert_close(some.weights, whole[[15, 3]])
    assert (some.heads, some.unit, some.mean_of) == ((15, 3), "channel", None)
    with pytest.raises(
        UserError, match=r"heads=\[16\]: decoder.layers.0.implicit has heads 0 to 15"
    ):
        attention(run, "abc", heads=[16])


def test_a_map_that_does_not_fit_is_an_error_with_the_numbers(monkeypatch):
    monkeypatch.setattr(mixers, "MOST_IMPLICIT", 100)
    run = make_run(TEXTS, transformer(mixer="minlstm"))
    said = r"decoder.layers.0.implicit: 8 implicit maps of 7 tokens have 392 weights.* at most 3"
    with pytest.raises(UserError, match=said):
        attention(run, "abc def")


def test_measures_are_those_of_absolute_shares():
    (head,) = measure_heads([signed()])
    # Rows 1 and 2 have the shares (3/4, 1/4, 0) and (0, 3/4, 1/4).
    assert head.same == pytest.approx(0.25)
    assert head.previous == pytest.approx(0.75)
    assert head.first == pytest.approx(0.375)
    assert head.distance == pytest.approx(0.75)
    assert head.entropy == pytest.approx(
        -0.75 * torch.tensor(0.75).log() - 0.25 * torch.tensor(0.25).log()
    )


def test_codes_keep_signs_and_zeros():
    weights = torch.cat([SIGNED, torch.randn(1, 3, 3).tril()]).numpy()
    most = float(abs(weights).max())
    packed = pack(weights, scale=most)
    assert packed["triangular"]
    shown = unpack(packed, 2, 3, 3)
    assert abs(shown - weights).max() < 1e-4 * most
    assert ((shown == 0) == (weights == 0)).all()


def test_only_weights_beyond_attentions_have_a_scale_of_their_own():
    shares = signed("encoder.layers.0.implicit", SIGNED.clamp(0, 1))
    later = signed("decoder.layers.1.implicit", 2 * SIGNED)
    assert scales_of([signed(), later, shares]) == {"implicit decoder": 3.0}
    assert scales_of(language_model().maps) == {}


def test_the_page_names_kinds_and_sides_and_one_scale_for_a_kind():
    maps = AttentionMaps((signed(), signed("decoder.layers.1.implicit", 2 * SIGNED)), "t", {})
    (kind,) = run_data(maps, 1000)["kinds"]
    assert (kind["kind"], kind["side"]) == ("implicit decoder", "decoder")
    assert kind["heading"] == "Implicit decoder attention"
    assert [layer["scale"] for layer in kind["layers"]] == [3.0, 3.0]
    (plain,) = run_data(language_model(), 1000)["kinds"]
    assert plain["side"] == "decoder"
    assert not any("scale" in layer for layer in plain["layers"])


def test_the_picture_has_a_scale_for_each_kind():
    attended = language_model(1, 1, TOKENS).maps[0]
    figure = attention_grid(AttentionMaps((signed(), attended), "t", {}))
    written = [text.get_text() for text in figure.axes[0].texts]
    for said in ("Implicit decoder attention", "implicit weight", "attention weight"):
        assert said in written
    first, second = (image for image in figure.axes[0].images if image.get_array().shape == (3, 3))
    assert sorted([first.norm.vmin, second.norm.vmin]) == [-1.5, 0]


def test_one_scale_of_two_kinds_names_both():
    attended = language_model(1, 1, TOKENS).maps[0]
    maps = AttentionMaps((signed(weights=SIGNED.clamp(0, 1)), attended), "t", {})
    written = [text.get_text() for text in attention_grid(maps).axes[0].texts]
    assert "implicit weight, attention weight" in written


def test_files_and_table_mark_implicit_maps(tmp_path, capsys):
    maps = inspect_text(make_run(TEXTS, transformer(mixer="mingru")), "abc")
    files = maps.write(tmp_path)
    saved = load_file(tmp_path / "attention.safetensors")
    assert torch.equal(saved["decoder.layers.1.implicit"], maps["decoder.layers.1.implicit"])
    described = json.loads((tmp_path / "attention.json").read_text())
    assert described["maps"][0]["mean_of"] == 8
    assert "implicit maps are not attention" in " ".join(described["about"]["notes"])
    show_inspection(maps, measure_heads(maps.maps), files)
    printed = capsys.readouterr().out
    assert "decoder.layers.0.implicit" in printed
    assert "mean" in printed


def test_maps_of_other_programs_may_be_implicit():
    maps = AttentionMaps.from_tensors({"decoder.layers.0.implicit": SIGNED}, TOKENS)
    assert torch.equal(maps["decoder.layers.0.implicit"], SIGNED)
    with pytest.raises(UserError, match="not between 0 and 1"):
        AttentionMaps.from_tensors({"decoder.layers.0.self": SIGNED}, TOKENS)


def test_a_model_without_any_maps_is_an_error():
    for config in (lstm(), transformer(mixer="average")):
        with pytest.raises(UserError, match="has no attention to show"):
            attention(make_run(TEXTS, config), "abc")
