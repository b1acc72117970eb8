"""A small GPT in plain PyTorch, with which minitx's training steps are compared."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainBlock(nn.Module):
    """Pre-norm attention and feed-forward (Radford et al. 2019, GPT-2), without biases."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(dim, bias=False) for _ in range(2)])
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        self.up = nn.Linear(dim, 4 * dim, bias=False)
        self.down = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) -> (B, T, C)."""
        qkv = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, H, D)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(y.transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class PlainGPT(nn.Module):
    """Embeddings, blocks, a final norm, and logits from the same embeddings."""

    def __init__(self, vocab_size: int, dim: int, layers: int, heads: int, context: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, dim), nn.Embedding(context, dim)
        self.blocks = nn.Sequential(*[PlainBlock(dim, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                residual = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * layers) ** 0.5 if residual else 0.02)

    def forward(self, tokens: Tensor) -> tuple[Tensor, None]:
        """tokens int64 (B, T) -> logits (B, T, vocab_size)."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.size(1)))
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight), None
