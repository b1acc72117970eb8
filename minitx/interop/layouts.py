"""Where the `transformers` library keeps the weights of a language model of minitx.

A layout maps the parts of our models to those of another model that computes the same function. It
works in both directions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

OUR_BLOCK = "backbone.layers"


@dataclass(frozen=True)
class Layout:
    """The names of weights in another model, and ours for the same.

    `around` names whole tensors outside of the blocks. In `block`, several parts of ours may be one
    part there: their outputs are concatenated. With `transposed`, matrices of blocks are stored as
    (inputs, outputs). With `biases`, every part of a block has a bias: ours may have none, which is
    the same as zeros.
    """

    blocks: str
    around: Mapping[str, str]
    block: Mapping[str, tuple[str, ...]]
    logits: str = "lm_head.weight"
    transposed: bool = False
    biases: bool = False

    def to_other(self, weights: Mapping[str, Tensor], layers: int, tied: bool) -> dict[str, Tensor]:
        """Return the weights of one of our language models under the other names."""
        found = {other: weights[ours] for other, ours in self.around.items()}
        if not tied:
            found[self.logits] = weights["to_logits.weight"]
        for layer in range(layers):
            for other, parts in self.block.items():
                names = [f"{OUR_BLOCK}.{layer}.{part}" for part in parts]
                matrices = [weights[f"{name}.weight"] for name in names if _has(weights, name)]
                if not matrices:
                    continue  # a part that this model does not have
                biases = [
                    weights.get(f"{name}.bias", matrix.new_zeros(len(matrix)))
                    for name, matrix in zip(names, matrices, strict=True)
                ]
                target = f"{self.blocks}.{layer}.{other}"
                found[f"{target}.weight"] = self._turned(torch.cat(matrices))
                if self.biases or f"{names[0]}.bias" in weights:
                    found[f"{target}.bias"] = torch.cat(biases)
        return {name: tensor.contiguous() for name, tensor in found.items()}

    def to_ours(self, weights: Mapping[str, Tensor], layers: int, tied: bool) -> dict[str, Tensor]:
        """Return the weights of the other model under our names. Raises KeyError without one."""
        found = {ours: weights[other] for other, ours in self.around.items()}
        table = found["embedding.table.weight"]
        found["to_logits.weight"] = table if tied else weights[self.logits]
        for layer in range(layers):
            for other, parts in self.block.items():
                source = f"{self.blocks}.{layer}.{other}"
                if f"{source}.weight" not in weights:
                    continue
                split = {"weight": self._turned(weights[f"{source}.weight"])}
                if f"{source}.bias" in weights:
                    split["bias"] = weights[f"{source}.bias"]
                for kind, tensor in split.items():
                    for part, piece in zip(parts, tensor.chunk(len(parts)), strict=True):
                        found[f"{OUR_BLOCK}.{layer}.{part}.{kind}"] = piece
        return found

    def _turned(self, weight: Tensor) -> Tensor:
        return weight.mT if self.transposed and weight.ndim == 2 else weight


def _has(weights: Mapping[str, Tensor], name: str) -> bool:
    return f"{name}.weight" in weights


GPT2 = Layout(
    blocks="transformer.h",
    around={
        "transformer.wte.weight": "embedding.table.weight",
        "transformer.wpe.weight": "embedding.position.table",
        "transformer.ln_f.weight": "backbone.final_norm.weight",
        "transformer.ln_f.bias": "backbone.final_norm.bias",
    },
    block={
        "ln_1": ("mixer_residual.norm",),
        "attn.c_attn": ("mixer.query", "mixer.key", "mixer.value"),
        "attn.c_proj": ("mixer.output",),
        "ln_2": ("feed_forward_residual.norm",),
        "mlp.c_fc": ("feed_forward.up",),
        "mlp.c_proj": ("feed_forward.down",),
    },
    transposed=True,
    biases=True,
)
# Also of Qwen3, which has the norms of queries and keys.
LLAMA = Layout(
    blocks="model.layers",
    around={
        "model.embed_tokens.weight": "embedding.table.weight",
        "model.norm.weight": "backbone.final_norm.weight",
    },
    block={
        "input_layernorm": ("mixer_residual.norm",),
        "self_attn.q_proj": ("mixer.query",),
        "self_attn.k_proj": ("mixer.key",),
        "self_attn.v_proj": ("mixer.value",),
        "self_attn.q_norm": ("mixer.query_norm",),
        "self_attn.k_norm": ("mixer.key_norm",),
        "self_attn.o_proj": ("mixer.output",),
        "post_attention_layernorm": ("feed_forward_residual.norm",),
        "mlp.gate_proj": ("feed_forward.gate",),
        "mlp.up_proj": ("feed_forward.up",),
        "mlp.down_proj": ("feed_forward.down",),
    },
)
