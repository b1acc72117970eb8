"""Test lists of mixers, and options that no mixer of the model has."""

import pytest
from tiny_runs import compose

from minitx.config.compose import from_plain, to_plain
from minitx.config.options import idle_options
from minitx.config.schema import MIXERS, TransformerConfig
from minitx.errors import UserError

LSTM = "model.mixer=lstm"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([LSTM, "model.heads=8"], "model.heads=8: model.mixer=lstm has no option heads"),
        ([LSTM, "++model.heads=4"], "model.heads=4: model.mixer=lstm has no option heads"),
        ([LSTM, "model.qk_norm=true"], "model.qk_norm=true: .* has no option qk_norm"),
        ([LSTM, "model.window=8"], "model.window=8: .* has no option window"),
        (["model.mixer=[gru,none]", "model.kv_heads=2"], r"model.mixer=\[gru,none\] has no option"),
        ([LSTM, "model.position=rotary"], "position=rotary acts inside attention only"),
        ([LSTM, "model.position=alibi"], "use sinusoidal, learned or none"),
        ([LSTM, "task=cmudict", "model.window=8"], "has no option window"),
        (["model.mixer=[attention,lstn]"], "lstn: did you mean lstm"),
        (["model.mixer=[[lstm]]"], "it may be one of attention, lstm"),
        (["model.mixer={a:1}"], "it may be one of attention, lstm"),
        (["model.mixer=null"], "it may be one of attention, lstm"),
        (["model.mixer=[]"], "lists 0 mixers for model.layers=4: it may list 1 to 4"),
        (
            ["model.mixer=[lstm,gru,attention]", "model.layers=2"],
            r"model.mixer=\[lstm,gru,attention\] lists 3 mixers for model.layers=2",
        ),
    ],
)
def test_what_the_model_cannot_have_is_refused_in_one_line(words, message):
    with pytest.raises(UserError, match=message) as refused:
        compose(*words)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mixer", [*MIXERS, "[lstm,none]"])
@pytest.mark.parametrize("task", ["shakespeare", "cmudict", "recall", "trec"])
def test_defaults_and_recipes_are_never_refused(task, mixer):
    """Although they set heads, rotary or alibi positions, and normed queries and keys."""
    for experiment in ([], ["experiment=plain"]):
        compose(f"task={task}", f"model.mixer={mixer}", "model.layers=2", *experiment)


@pytest.mark.parametrize(
    "words",
    [
        ["model.mixer=[lstm,attention]", "model.heads=8", "model.position=rotary"],
        [LSTM, "model.position=learned"],
        [LSTM, "task=cmudict", "model.heads=8", "model.qk_norm=true"],  # of the cross-attention
    ],
)
def test_what_the_model_has_is_accepted(words):
    compose(*words)


def test_a_list_is_repeated_over_the_layers_and_kept_in_the_config():
    config = compose("model.mixer=[attention,gru]", "model.layers=5")
    assert config.model.mixers == ["attention", "gru", "attention", "gru", "attention"]
    assert from_plain(to_plain(config)) == config
    assert compose(LSTM).model.mixers == ["lstm"] * 4


def test_every_option_is_some_mixers():
    for name, spec in MIXERS.items():
        own = set(spec.options.__dataclass_fields__)
        assert own.isdisjoint(idle_options(TransformerConfig(mixer=name)))
    assert idle_options(TransformerConfig(mixer=list(MIXERS), layers=len(MIXERS))) == []
