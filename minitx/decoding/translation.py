"""Generate outputs with a sequence-to-sequence model, as text."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from minitx.config.schema import DecodingConfig, TranslateConfig
from minitx.data.progress import progress
from minitx.data.tokenizers.sequence import BOS, EOS, PAD, UNK
from minitx.decoding.beam import Hypothesis
from minitx.decoding.encoding import encode_text
from minitx.decoding.search import beam_search, sample
from minitx.errors import UserError
from minitx.models.seq2seq import Seq2Seq
from minitx.runs.vocabulary import PairVocabulary

CHUNK = 1000  # sources that are searched before progress is shown again
WITHOUT_TEXT = (PAD, BOS, UNK)  # no output has these tokens, because they stand for no text

Found = TypeVar("Found")


class Output(NamedTuple):
    """A text that the model generated, and its score: see `minitx.decoding.search`."""

    text: str
    score: float


def encode_source(text: str, vocabulary: PairVocabulary, context: int) -> list[int]:
    """Return a source's ids as the model reads them. Raises UserError as `encode_text` does."""
    return with_end_symbol(encode_text(text, vocabulary.source, context))


def with_end_symbol(ids: Iterable[int]) -> list[int]:
    """Return a source's ids with the end symbol, as the model reads them."""
    return [*map(int, ids), EOS]


def search(
    model: Seq2Seq,
    vocabulary: PairVocabulary,
    sources: Sequence[Sequence[int]],
    decoding: DecodingConfig,
    n_best: int = 1,
    doing: str = "translating",
) -> list[list[Output]]:
    """Return the `n_best` outputs of each source (ids, as from `encode_source`), best first.

    Raises UserError if `beam_search` raises ValueError, and if fewer than `n_best` outputs exist.
    """
    found: list[list[Output]] = []
    chunks = [sources[i : i + CHUNK] for i in range(0, len(sources), CHUNK)]
    with progress() as watch:
        for chunk in watch(doing, chunks, len(sources), len):
            found += [
                [Output(vocabulary.target.decode(h.tokens), h.score) for h in outputs]
                for outputs in search_tokens(model, chunk, decoding, n_best)
            ]
    return found


def search_tokens(
    model: Seq2Seq, sources: Sequence[Sequence[int]], decoding: DecodingConfig, n_best: int = 1
) -> list[list[Hypothesis]]:
    """Return the `n_best` outputs of each source as `search` does, but as tokens."""
    found = _limited(
        beam_search,
        model,
        sources,
        decoding,
        beam=decoding.beam,
        n_best=n_best,
        length_penalty=decoding.length_penalty,
    )
    exist = min(map(len, found), default=n_best)
    if exist < n_best:
        raise UserError(
            f"n_best={n_best}: only {exist} outputs exist with decoding.min_length="
            f"{decoding.min_length} and decoding.max_length={decoding.max_length}: set n_best="
            f"{exist}, or a larger decoding.max_length"
        )
    return found


def draw(
    model: Seq2Seq,
    vocabulary: PairVocabulary,
    sources: Sequence[Sequence[int]],
    config: TranslateConfig,
    decoding: DecodingConfig,
    generator: torch.Generator,
) -> list[list[Output]]:
    """Sample `config.n_best` outputs for each source, and return them, the most likely first."""
    rows = [source for source in sources for _ in range(config.n_best)]
    drawn = _limited(
        sample,
        model,
        rows,
        decoding,
        generator=generator,
        temperature=1.0 if config.temperature is None else config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
    )
    outputs = [Output(vocabulary.target.decode(h.tokens), h.score) for h in drawn]
    groups = [outputs[i : i + config.n_best] for i in range(0, len(outputs), config.n_best)]
    return [sorted(group, key=lambda output: -output.score) for group in groups]


def _limited(
    search: Callable[..., Found],
    model: Seq2Seq,
    sources: Sequence[Sequence[int]],
    decoding: DecodingConfig,
    **options: Any,
) -> Found:
    """Return what a search of `minitx.decoding.search` finds with the limits of the config.

    Raises UserError if it raises ValueError.
    """
    try:
        return search(
            model,
            sources,
            BOS,
            EOS,
            min_length=decoding.min_length,
            max_length=decoding.max_length,
            excluded=WITHOUT_TEXT,
            **options,
        )
    except ValueError as error:
        raise UserError(f"decoding: {error}") from error
