"""Compare training steps with plain code that does the same."""

from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from minitx.bench.loops import bare_step, lightning_step, optimizer_share, plain_loop
from minitx.bench.plain import PlainGPT
from minitx.bench.sides import alternate
from minitx.config.compose import compose
from minitx.config.schema import TransformerConfig
from minitx.nn.attention import MultiHeadAttention, attend_fused
from minitx.tasks.open import open_task


def training(rounds: int, steps: int = 60) -> None:
    """Compare a training step with a plain PyTorch loop, and measure the optimizer's share."""
    config = compose(f"trainer.max_steps={steps}")
    model, vocabulary = config.model, open_task(config).vocabulary
    assert isinstance(model, TransformerConfig)

    def bare() -> float:
        torch.manual_seed(config.seed)
        plain = PlainGPT(
            vocabulary.tokenizer.vocab_size, model.dim, model.layers, model.heads, model.context
        )
        optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-3, fused=True)
        return plain_loop(plain, optimizer, config, steps)

    for name, words in {
        "default": [],
        "default parts, AdamW": ["optimizer=adamw"],
        "experiment=plain": ["experiment=plain"],
    }.items():
        ours = compose(*words, f"trainer.max_steps={steps}")
        print(f"{name}, batch {ours.data.batch_size} x {ours.model.context}")
        alternate({"minitx": partial(lightning_step, ours, steps), "plain loop": bare}, rounds)
    share = median(optimizer_share(config, steps) for _ in range(rounds))
    print(f"Muon and AdamW take {share:.1%} of a default step (bare loop)")


def overhead(rounds: int, steps: int = 100) -> None:
    """Compare a step in Lightning, with logging and a progress bar, with a bare loop."""
    for name in ("adamw", "muon"):
        config = compose(f"optimizer={name}", f"trainer.max_steps={steps}")
        print(f"optimizer={name}, batch {config.data.batch_size} x {config.model.context}")
        alternate(
            {
                "Lightning": partial(lightning_step, config, steps),
                "bare loop": partial(bare_step, config, steps),
            },
            rounds,
        )


def recurrence(rounds: int, steps: int = 60) -> None:
    """Compare the training throughput of model=lstm with a bare loop over nn.LSTM."""
    config = compose("model=lstm", "optimizer=adamw", f"trainer.max_steps={steps}")
    vocabulary = open_task(config).vocabulary
    vocab_size = vocabulary.tokenizer.vocab_size

    def bare() -> float:
        torch.manual_seed(config.seed)
        model = PlainLSTM(vocab_size, config.model.dim, config.model.layers)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.optimizer.lr, fused=True)
        return plain_loop(model, optimizer, config, steps)

    print(f"model=lstm, dim {config.model.dim}, {config.model.layers} layers")
    alternate({"nn.LSTM": bare, "minitx": partial(lightning_step, config, steps)}, rounds)


class PlainLSTM(nn.Module):
    """The usual model: embedding, nn.LSTM of several layers, logits."""

    def __init__(self, vocab_size: int, dim: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        self.lstm = nn.LSTM(dim, dim, layers, batch_first=True)
        self.to_logits = nn.Linear(dim, vocab_size, bias=False)
        self.to_logits.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
        y, _ = self.lstm(self.embedding(tokens))
        return self.to_logits(y), None


def capture(rounds: int, steps: int = 100) -> None:
    """Compare a training step whose capture switch is off with one that has no switch."""
    config = compose(f"trainer.max_steps={steps}")
    print(f"batch {config.data.batch_size} x {config.model.context}, a bare loop")
    alternate(
        {
            "switch off": partial(bare_step, config, steps),
            "no switch": partial(bare_step, config, steps, without_switch),
        },
        rounds,
    )


def without_switch(module: nn.Module) -> None:
    """Make attention call the fused kernel directly, without the capture switch."""
    if not isinstance(module, MultiHeadAttention):
        return
    output, dropout, scaled = module.output, module.dropout, module.scaled

    def attention(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        allowed: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        y = attend_fused(q, k, v, allowed, bias, dropout, scaled, causal)
        return output(y.transpose(1, 2).flatten(-2))

    module.attention = attention  # type: ignore[method-assign]
