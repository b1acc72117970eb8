"""Count the operations of a training step, and look up the peak performance of a device."""

import re

from minitx.models.language_model import LanguageModel, count_parameters
from minitx.nn.attention import MultiHeadAttention

# TFLOPS of dense matrix products in bfloat16, or float16 if a device lacks it, from NVIDIA's
# data sheets. The first name that occurs in the device's name applies.
PEAKS = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "A10": 125,
    "L40S": 362,
    "L4": 121,
    "T4": 65,
    "V100": 125,
    "RTX 4090": 165,
    "RTX 3090": 71,
}


def known_peak(device_name: str) -> float | None:
    """Return the peak of a device in TFLOPS by its name in CUDA, or None if it is unknown."""
    found = (peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", device_name))
    return next(found, None)


def training_operations(model: LanguageModel) -> float:
    """Return the floating-point operations of a training step per token: 6 N + 12 L H Q T.

    N is the number of weights that a token is multiplied with, including the output matrix. There
    are L layers with H heads of width Q, and T is the context. The backward pass counts twice the
    forward pass. Attention is counted as if it were not causal. Source: Chowdhery et al. 2022
    (PaLM), appendix B.
    """
    _, inner = count_parameters(model)
    weights = inner + model.to_logits.weight.numel()
    attentions = [part for part in model.modules() if isinstance(part, MultiHeadAttention)]
    width = sum(attention.heads * attention.head_dim for attention in attentions)  # L H Q
    return 6 * weights + 12 * width * model.context
