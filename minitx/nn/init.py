"""How weights start.

Language models: normal with standard deviation 0.02 for every matrix, and 0.02 / sqrt(2 * layers)
for the two that write into the residual stream, so that the stream's variance does not grow with
depth (Radford et al. 2019, GPT-2, section 2.3). Biases start at zero, norms at one.

Encoders and decoders: Glorot's uniform (Glorot and Bengio 2010, equation 16), as in the code of
Vaswani et al. 2017. A narrow model whose cross-attention starts with 0.02 does not find its source.

Recurrences and their attention: torch's uniform of +-1/sqrt(dim), with an LSTM's forget gate opened
by a bias of one (Jozefowicz et al. 2015, section 3.2). Their embeddings start larger than a
Transformer's, because no norm stands between the two: see `RECURRENT_EMBEDDING_STD`.
"""

import math

import torch
from torch import nn

from minitx.nn.attention import MultiHeadAttention
from minitx.nn.baseline_mixers import Average
from minitx.nn.feedforward import FeedForward
from minitx.nn.recurrent import Recurrence
from minitx.nn.recurrent_attention import RecurrentAttention

STD = 0.02
# Measured on tiny_shakespeare, LSTM of 0.8M parameters, 600 steps of AdamW at 3e-3: validation loss
# 2.25 with embeddings of 0.02, 1.83 with 0.2, 1.77 with 0.5, 1.77 with 1.
RECURRENT_EMBEDDING_STD = 0.5


@torch.no_grad()
def initialise(
    module: nn.Module, layers: int, embedding_std: float = STD, *, glorot: bool = False
) -> None:
    """Sets every weight in `module`, whose residual stream runs through `layers` blocks.

    Matrices start by Glorot's rule, or else by GPT-2's, which alone depends on `layers`.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight) if glorot else part.weight.normal_(std=STD)
        if isinstance(part, nn.Linear) and part.bias is not None:
            part.bias.zero_()
        if isinstance(part, Recurrence):
            part.cell.reset_parameters()
            if isinstance(part.cell, nn.LSTM):
                _open_forget_gates(part.cell)
    for part in module.modules():  # a second pass: these override what the first one set
        if isinstance(part, RecurrentAttention):
            part.reset_parameters()
        if isinstance(part, nn.Embedding):  # perhaps tied to a linear map
            part.weight.normal_(std=embedding_std)
        if isinstance(part, MultiHeadAttention | Average) and not glorot:
            part.output.weight.normal_(std=STD / math.sqrt(2 * layers))
        if isinstance(part, FeedForward) and not glorot:
            part.down.weight.normal_(std=STD / math.sqrt(2 * layers))


def _open_forget_gates(cell: nn.LSTM) -> None:
    # torch stacks the gates as input, forget, cell, output, and adds two biases to each.
    for name, bias in cell.named_parameters():
        if name.startswith("bias"):
            forget = slice(cell.hidden_size, 2 * cell.hidden_size)
            bias[forget] = 1.0 if name.startswith("bias_ih") else 0.0
