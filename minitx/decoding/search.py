"""From sources to outputs, over any `Seq2Seq`: greedy search, sampling, and beam search.

All three take sources of any length in any order, group those of similar length, and return
outputs in the order of the sources. The outputs of a source do not depend on padding and, unless
they are sampled, not on the other sources.

Output lengths count the tokens between the beginning and the end symbol. Every output is complete:
at its maximal length only the end symbol is allowed.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from minitx.decoding.beam import Hypothesis, Limits, search_beam
from minitx.decoding.sampling import sample_token
from minitx.models.seq2seq import Seq2Seq
from minitx.nn.tree import reorder

ROWS = 1000  # hypotheses that are continued together: one large product is fast

Sources = Sequence[Sequence[int]]


@torch.inference_mode()
def beam_search(
    model: Seq2Seq,
    sources: Sources,
    bos: int,
    eos: int,
    *,
    beam: int = 5,
    n_best: int = 1,
    length_penalty: float = 0.6,
    min_length: int = 0,
    max_length: int | None = None,
    excluded: tuple[int, ...] = (),
) -> list[list[Hypothesis]]:
    """Return for each source the `n_best` outputs that a beam of width `beam` finds, best first.

    A score is log p(output) / ((5 + L) / 6)^length_penalty, and L counts the end symbol (Wu et al.
    2016, equation 14). An output has at most `max_length` tokens, or if that is None ten more than
    twice its source, and none of the tokens in `excluded`. `minitx.decoding.beam` describes the
    search. The default penalty is that of Vaswani et al. (2017, section 6.1). A beam of 1 is greedy
    search.

    There are fewer than `n_best` only if no more outputs of these lengths exist.

    Raises ValueError for numbers out of range, and for an empty source.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"n_best={n_best}, beam={beam}: need 1 <= n_best <= beam")
    if length_penalty < 0:
        raise ValueError(f"length_penalty={length_penalty}: it may not be negative")
    found: dict[int, list[Hypothesis]] = {}
    for numbers, source, padding in _batches(model, sources, max(1, ROWS // beam)):
        limits = _limits(model, padding, min_length, max_length, excluded)
        best = search_beam(model, source, padding, bos, eos, limits, beam, n_best, length_penalty)
        found |= zip(numbers, best, strict=True)
    return [found[number] for number in range(len(sources))]


@torch.inference_mode()
def sample(
    model: Seq2Seq,
    sources: Sources,
    bos: int,
    eos: int,
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_length: int = 0,
    max_length: int | None = None,
    excluded: tuple[int, ...] = (),
) -> list[Hypothesis]:
    """Sample an output for each source by `sample_token`. Temperature 0 is greedy.

    Its score is log p(output) at any temperature. `excluded`, lengths and errors are as in
    `beam_search`.
    """
    drawn: dict[int, Hypothesis] = {}
    for numbers, source, padding in _batches(model, sources, ROWS):
        limits = _limits(model, padding, min_length, max_length, excluded)
        memory, state = model.encode(source, padding), None
        number = torch.tensor(numbers, device=source.device)  # (R,)
        tokens = source.new_full((len(source), 1), bos)  # (R, T)
        log_p = torch.zeros(len(source), device=source.device)  # (R,)
        while len(number):
            logits, state = model.decode(tokens[:, -1:], memory, state)
            log_probs = logits[:, -1].float().log_softmax(dim=-1)  # (R, V)
            log_probs = limits.apply(log_probs, tokens.size(1) - 1, eos)
            token = sample_token(log_probs, generator, temperature, top_k, top_p)
            log_p = log_p + log_probs.gather(1, token[:, None])[:, 0]
            for row in (token == eos).nonzero()[:, 0].tolist():
                drawn[int(number[row])] = Hypothesis(tokens[row, 1:].tolist(), log_p[row].item())
            tokens = torch.cat([tokens, token[:, None]], dim=1)
            open_ = (token != eos).nonzero()[:, 0]  # the rows that are not finished
            if len(open_) < len(number):
                number, tokens, log_p, limits, memory, state = reorder(
                    (number, tokens, log_p, limits, memory, state), open_
                )
    return [drawn[number] for number in range(len(sources))]


def _batches(
    model: Seq2Seq, sources: Sources, size: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield batches of similar length: sources' numbers, tokens int64 (B, S), padding (B, S)."""
    for number, source in enumerate(sources):
        if not source:
            raise ValueError(f"sources[{number}] is empty")
    device = model.to_logits.weight.device
    order = sorted(range(len(sources)), key=lambda number: len(sources[number]))
    for start in range(0, len(order), size):
        numbers = order[start : start + size]
        texts = [torch.tensor(sources[number]) for number in numbers]
        tokens = pad_sequence(texts, batch_first=True)
        padding = pad_sequence([torch.ones_like(text, dtype=torch.bool) for text in texts], True)
        yield numbers, tokens.to(device), padding.to(device)


def most_tokens(context: int, min_length: int, max_length: int | None) -> int:
    """Return the most tokens of an output. Raises ValueError for lengths out of range."""
    room = context - 1  # the beginning symbol takes one place
    if max_length is not None and max_length > room:
        raise ValueError(f"max_length={max_length}: the model's context leaves room for {room}")
    most = room if max_length is None else max_length
    if not 0 <= min_length <= most:
        raise ValueError(f"min_length={min_length}: it must be at least 0, at most {most}")
    return most


def _limits(
    model: Seq2Seq,
    padding: Tensor,
    min_length: int,
    max_length: int | None,
    excluded: tuple[int, ...],
) -> Limits:
    """Return what outputs may be for the sources with this padding (B, S)."""
    most = most_tokens(model.context, min_length, max_length)
    if max_length is None:
        longest = (2 * padding.sum(dim=1) + 10).clamp(min_length, most)
    else:
        longest = torch.full_like(padding[:, 0], max_length, dtype=torch.long)
    return Limits(min_length, longest, excluded)
