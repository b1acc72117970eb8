"""Test checkpoint files: those of minitx open, and no file is ever executed."""

import io
import os
import pickle
import random

import pytest
import torch
from model_kinds import CONFIGS

from minitx.config.compose import to_plain
from minitx.config.schema import Config
from minitx.data.tokenizers.text import train_tokenizer
from minitx.errors import UserError
from minitx.models.build import language_model
from minitx.runs.run import StoredRun, find_checkpoint, read_checkpoint

TOKENIZER = train_tokenizer("char", 0, ["to be, or not"])


def make_checkpoint():
    """What Lightning saves of a run, as far as minitx reads it."""
    config = Config(model=CONFIGS["recipe"])
    config.model.name = "transformer"
    model = language_model(config.model, TOKENIZER.vocab_size)
    return {
        "state_dict": {f"model.{name}": value for name, value in model.state_dict().items()},
        "hyper_parameters": {
            "config": to_plain(config),
            "tokenizer": TOKENIZER.to_json(),
            "data_fingerprint": "f",
        },
        "global_step": 7,
        "loops": {"anything": [1, 2]},
    }


def saved(value, **settings):
    file = io.BytesIO()
    torch.save(value, file, **settings)
    return file.getvalue()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "some.ckpt"


class Trap:
    """A pickle of it makes a folder when it is opened."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_checkpoint_opens_as_the_run_it_came_from(file):
    checkpoint = make_checkpoint()
    file.write_bytes(saved(checkpoint))
    run = StoredRun.open(file)
    assert to_plain(run.config) == checkpoint["hyper_parameters"]["config"]
    assert (run.step, run.path, run.model.training) == (7, file, False)
    assert run.tokenizer.decode(run.tokenizer.encode("to be")) == "to be"
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, checkpoint["state_dict"][f"model.{name}"])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("where", ["alone", "zip", "legacy", "state_dict", "config"])
def test_code_in_a_file_is_refused_and_does_not_run(file, tmp_path, where):
    trap = Trap(tmp_path / "sprung")
    checkpoint = make_checkpoint()
    if where == "alone":
        file.write_bytes(pickle.dumps(trap))
    elif where in ("zip", "legacy"):
        file.write_bytes(saved(trap, _use_new_zipfile_serialization=where == "zip"))
    else:
        checkpoint["state_dict" if where == "state_dict" else "hyper_parameters"]["x"] = trap
        file.write_bytes(saved(checkpoint))
    with pytest.raises(UserError, match=r"is refused: .* could run code"):
        StoredRun.open(file)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(trap))  # the trap does work
    assert (tmp_path / "sprung").exists()


NO_CHECKPOINTS = {
    "empty": b"",
    "a byte": b"\0",
    "the start of a zip": b"PK\x03\x04",
    "text": b"To be, or not to be\n",
    "text in UTF-16": "äöü".encode("utf-16"),
    "a pickle of nothing": b"\x80\x02.",
    "a pickle that calls nothing": b"\x80\x02)\x85R.",
    "half a pickle": pickle.dumps({"state_dict": 1})[:-3],
    "a zip without its end": saved(make_checkpoint())[:-200],
    "the start of a checkpoint": saved(make_checkpoint())[:1000],
    "legacy, without its end": saved(make_checkpoint(), _use_new_zipfile_serialization=False)[
        :-200
    ],
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
def test_what_is_no_checkpoint_is_refused_in_one_line(file, content):
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"is refused|is damaged") as caught:
        StoredRun.open(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
def test_damaged_bytes_are_never_a_traceback(file, new_format):
    small = {"state_dict": {"model.a": torch.zeros(2)}, "hyper_parameters": {"config": {}}}
    content = saved(small, _use_new_zipfile_serialization=new_format)
    draw = random.Random(0)
    for _ in range(200):
        damaged = bytearray(content[: draw.choice([len(content), draw.randrange(len(content))])])
        for _ in range(min(len(damaged), draw.choice([1, 5, 50]))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        file.write_bytes(damaged)
        with pytest.raises(UserError):
            StoredRun.open(file)


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(3),
        [1, 2],
        {},
        {"state_dict": {}},
        {"state_dict": {}, "hyper_parameters": None, "global_step": 1},
        {"state_dict": {}, "hyper_parameters": torch.zeros(2), "global_step": 1},
        {"state_dict": {}, "hyper_parameters": {"config": {}}, "global_step": 1},
        {"state_dict": [], "hyper_parameters": {"config": {}, "tokenizer": ""}, "global_step": 1},
        {"state_dict": {}, "hyper_parameters": {"config": {}, "tokenizer": ""}},
    ],
    ids=str,
)
def test_a_checkpoint_of_something_else_is_refused(file, value):
    file.write_bytes(saved(value))
    with pytest.raises(UserError, match="not one of minitx"):
        read_checkpoint(file)


@pytest.mark.filterwarnings("ignore")
def test_a_config_or_tokenizer_that_is_none_is_refused(file):
    for key, value in [("config", torch.zeros(2)), ("config", {"model": 1}), ("tokenizer", "?")]:
        checkpoint = make_checkpoint()
        checkpoint["hyper_parameters"][key] = value
        file.write_bytes(saved(checkpoint))
        with pytest.raises(UserError, match=r"not a (config|tokenizer)"):
            StoredRun.open(file)


def test_a_config_whose_numbers_do_not_fit_is_refused(file):
    checkpoint = make_checkpoint()
    checkpoint["hyper_parameters"]["config"]["model"]["heads"] = 3
    file.write_bytes(saved(checkpoint))
    with pytest.raises(UserError, match=r"some.ckpt.*heads=3 does not divide dim=8"):
        StoredRun.open(file)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_weights_that_do_not_fit_are_named(file, change):
    checkpoint, name = make_checkpoint(), "backbone.layers.0.mixer.query.weight"
    weights = checkpoint["state_dict"]
    if change == "missing":
        del weights[f"model.{name}"]
    elif change == "unexpected":
        name = "backbone.layers.9.extra"
        weights[f"model.{name}"] = torch.zeros(1)
    else:
        weights[f"model.{name}"] = torch.zeros(3, 8)
    file.write_bytes(saved(checkpoint))
    with pytest.raises(UserError, match="do not fit its own config") as caught:
        StoredRun.open(file)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_opens_its_best_or_last_checkpoint(tmp_path):
    folder = tmp_path / "checkpoints"
    with pytest.raises(UserError, match="does not exist"):
        find_checkpoint(folder)
    folder.mkdir()
    with pytest.raises(UserError, match="holds no checkpoint"):
        find_checkpoint(tmp_path)
    (folder / "last.ckpt").touch()
    assert find_checkpoint(tmp_path) == folder / "last.ckpt"
    (folder / "best.ckpt").touch()
    assert find_checkpoint(tmp_path) == folder / "best.ckpt"
    assert find_checkpoint(tmp_path, last=True) == folder / "last.ckpt"


@pytest.mark.parametrize("device", ["cuda:99", "toaster", "meta:x"])
def test_a_device_that_is_not_there_is_named(file, device):
    file.write_bytes(saved(make_checkpoint()))
    with pytest.raises(UserError, match=f"device={device}"):
        StoredRun.open(file, device)
