"""Beam search: the most likely outputs among the continuations of a few hypotheses.

At each step every open hypothesis is continued by every token, and the `beam` most likely
continuations replace them. Those that end with the end symbol are complete: they leave the beam and
are ranked by their penalised scores,

    log p(output) / ((5 + L) / 6)^length_penalty        L tokens, the end symbol counted

(Wu et al. 2016, GNMT, equation 14), because every token makes an output less likely.

The search of a sentence stops when none of its open hypotheses can become one of the best. That is
exact: log p only falls, and the penalty divides it at most by that of the longest allowed output.

Letters in shapes: S sentences still open, W hypotheses of each, V tokens of the vocabulary, T
tokens so far.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from minitx.models.seq2seq import Seq2Seq
from minitx.nn.tree import reorder


class Hypothesis(NamedTuple):
    """An output, without the symbols for beginning and end, and its score."""

    tokens: list[int]
    score: float


class Limits(NamedTuple):
    """What an output may be: at least `shortest` and at most `longest` tokens, int64 (S,).

    No output has a token of `excluded`.
    """

    shortest: int
    longest: Tensor
    excluded: tuple[int, ...] = ()

    def apply(self, log_probs: Tensor, length: int, eos: int) -> Tensor:
        """Rule out what may not follow `length` tokens: log_probs (S, ..., V), changed in place.

        That is `excluded`; below `shortest` the end symbol, and at `longest` everything else.
        """
        for token in self.excluded:
            log_probs[..., token] = -torch.inf
        if length < self.shortest:
            log_probs[..., eos] = -torch.inf
        due = self.longest <= length  # (S,)
        if due.any():
            end = log_probs[due, ..., eos]
            log_probs[due] = -torch.inf
            log_probs[due, ..., eos] = end
        return log_probs


def search_beam(
    model: Seq2Seq,
    source: Tensor,
    padding: Tensor,
    bos: int,
    eos: int,
    limits: Limits,
    beam: int,
    n_best: int,
    length_penalty: float,
) -> list[list[Hypothesis]]:
    """Return the best outputs of each row of source, int64 (S, N); see `search.beam_search`."""
    best: list[list[Hypothesis]] = [[] for _ in source]
    sentence = torch.arange(len(source), device=source.device)  # (S,)
    tokens = source.new_full((len(source), 1, 1), bos)  # (S, W, T)
    log_p = torch.zeros(len(source), 1, device=source.device)  # (S, W); -inf: no hypothesis
    bar = torch.full_like(log_p[:, 0], -torch.inf)  # (S,), the score that a new output must exceed
    memory, state = model.encode(source, padding), None
    while len(sentence):
        logits, state = model.decode(tokens[..., -1:].flatten(0, 1), memory, state)
        log_probs = logits[:, -1].float().log_softmax(dim=-1).unflatten(0, log_p.shape)
        length, (_, width, vocab_size) = tokens.size(-1), log_probs.shape
        continued = limits.apply(log_probs, length - 1, eos).add_(log_p[..., None])  # (S, W, V)
        log_p, chosen = continued.flatten(1).topk(min(beam, width * vocab_size), dim=1)
        parent, token = chosen // vocab_size, chosen % vocab_size  # (S, new W)

        scores = log_p / _penalty(length, length_penalty)
        good = (token == eos) & (scores > bar[:, None])
        for s, w in good.nonzero().tolist():
            kept = best[int(sentence[s])]
            kept.append(Hypothesis(tokens[s, parent[s, w], 1:].tolist(), scores[s, w].item()))
            kept.sort(key=lambda hypothesis: -hypothesis.score)
            del kept[n_best:]
            if len(kept) == n_best:
                bar[s] = kept[-1].score

        log_p = log_p.masked_fill(token == eos, -torch.inf)
        attainable = log_p.amax(dim=1) / _penalty(limits.longest + 1, length_penalty)
        open_ = (attainable > bar).nonzero()[:, 0]  # the sentences that are not finished
        rows = open_[:, None] * width + parent[open_]  # the rows that continue, (S, new W)
        if len(open_) < len(sentence):
            memory = reorder(memory, open_)  # one row per sentence, shared by its hypotheses
        state = reorder(state, rows.flatten())
        tokens = torch.cat([tokens.flatten(0, 1)[rows], token[open_][..., None]], dim=-1)
        sentence, log_p, bar, limits = reorder((sentence, log_p, bar, limits), open_)
    return best


def _penalty(length: Any, alpha: float) -> Any:
    """Return the divisor of log p; it is one for an empty output, which is only the end symbol."""
    return ((5 + length) / 6) ** alpha
