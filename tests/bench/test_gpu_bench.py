"""Test the bench of a GPU on the CPU with tiny sizes."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from minitx.bench import gpu
from minitx.bench.device import Speed, fitting
from minitx.bench.peaks import known_peak, training_operations
from minitx.config.compose import compose
from minitx.models.build import language_model
from minitx.nn.attention import MultiHeadAttention

SIZES = replace(gpu.TINY, seconds=0.01, lengths=(4, 8), tokens=16)
SPEED = Speed(1, 2.0, 1.0, 3.0, 4.0)


def tables(printed):
    """The rows of each table of Markdown, by the words of its first line."""
    found = []
    for line in printed.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            found.append([])
        elif "---" not in line:
            found[-1].append(cells)
    heads_and_rows = [(lines[0], lines[1:]) for lines in found if lines]
    return [[dict(zip(head, row, strict=True)) for row in rows] for head, rows in heads_and_rows]


def test_a_table_of_each_kind_is_printed(monkeypatch, capsys):
    """Compiling for real takes most of a minute, so a backend that compiles nothing stands in."""
    monkeypatch.setattr(
        *(gpu, "WAYS"),
        {"eager": None, "compiled": {"backend": "eager"}, "graphs": {"backend": "of no such name"}},
    )
    gpu.report(torch.device("cpu"), SIZES, peak=0.5)
    training, lengths = tables(capsys.readouterr().out)
    assert [(row["model"], row["optimizer"], row["run"].split(":")[0]) for row in training] == [
        ("GPT", "adamw", "eager"),
        ("GPT", "adamw", "compiled"),
        ("GPT", "muon", "eager"),
        ("GPT", "muon", "compiled"),
        ("default", "muon", "eager"),
        ("default", "muon", "compiled"),
        ("default", "muon", "graphs"),
    ]
    *measured, failed = training
    assert "Invalid backend" in failed["run"]
    figures = ("ms/step", "optimizer, % of it", "tokens/s", "MFU, %")
    assert {failed[name] for name in figures} == {"–"}
    for row in measured:
        assert all(float(row[name].replace(",", "")) > 0 for name in figures)
    assert [row["length"] for row in lengths] == ["4", "8"]
    assert [row["sequences"] for row in lengths] == ["4", "2"]
    assert all(float(row["LSTM / Transformer"]) > 0 for row in lengths)


def test_a_batch_is_halved_until_it_fits():
    tried = []

    def measure(batch_size):
        tried.append(batch_size)
        if batch_size > 5:
            raise torch.OutOfMemoryError("no room")
        return replace(SPEED, batch_size=batch_size)

    assert fitting(measure, 24).batch_size == 3
    assert tried == [24, 12, 6, 3]


def test_what_fits_in_no_way_becomes_a_row():
    def measure(batch_size):
        raise torch.OutOfMemoryError("CUDA out of memory.\nMore about it")

    speed, failure = gpu.attempt("a model", measure, 4)
    assert failure == "OutOfMemoryError: CUDA out of memory."
    assert speed.tokens_per_second != speed.tokens_per_second  # NaN


@pytest.mark.parametrize("words", [gpu.TINY.gpt, ("model.dim=32", "model.kv_heads=2")])
def test_operations_are_those_that_torch_counts(words):
    """With attention in the open, where every product of every query and key is made."""
    config = compose("experiment=plain", *words, "model.bias=true").model
    model = language_model(config, vocab_size=50)
    for part in model.modules():
        if isinstance(part, MultiHeadAttention):
            part.on_attention = lambda record: None
    tokens = torch.zeros(3, config.context, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model(tokens)[0].sum().backward()
    inner = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 1)
    # Biases and norms are added and scaled, which is no product of matrices.
    counted = counter.get_total_flops() / tokens.numel()
    assert training_operations(model) - 6 * inner == counted


def test_gpt_2_has_124_million_parameters():
    config = compose("experiment=plain", *gpu.FULL.gpt).model
    with torch.device("meta"):
        model = language_model(config, gpu.FULL.gpt_vocab)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(124.4e6, rel=1e-3)
    # nanoGPT's estimate for the same shape, which has no positions among its weights either.
    weights = sum(p.numel() for p in model.parameters()) - 1024 * 768
    assert training_operations(model) == 6 * weights + 12 * 12 * 12 * 64 * 1024


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("Tesla T4", 65),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA TITAN V", None),
    ],
)
def test_peaks_go_by_the_name_of_the_device(name, peak):
    assert known_peak(name) == peak


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_in_a_line(script):
    answer = script("bench", "gpu")
    assert answer.status == 1
    assert answer.out == ""
    assert answer.err.startswith("error: no CUDA device")
    assert answer.err.count("\n") == 1


def test_a_peak_is_above_zero(script):
    answer = script("bench", "gpu", "--tiny", "--peak=0")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err == "error: --peak=0 must be above zero: give the device's TFLOPS\n"
