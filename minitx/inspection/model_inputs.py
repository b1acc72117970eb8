"""What a trained model reads for one text, and what it predicts: token ids and their labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor, nn

from minitx.data.cleaning import clean
from minitx.data.tokenizers.sequence import BOS, EOS, SPECIALS, UNK, SequenceTokenizer
from minitx.decoding.translation import search_tokens
from minitx.errors import UserError
from minitx.runs.run import StoredRun
from minitx.runs.vocabulary import LabelVocabulary, PairVocabulary, TextVocabulary, Vocabulary


class Tokens(NamedTuple):
    """A sequence of tokens: ids int64 (1, T) on the model's device, and a label for each."""

    ids: Tensor
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """One text as a model reads it, and the model's prediction.

    text       the text, cleaned as in training
    source     the input of a language model, of a classifier (with <bos>) or of an encoder (with
               <eos>)
    target_in  the input of a decoder: <bos> and the output; None for other models
    predicted  the tokens to predict: in a language model the next token at each position, the
               last of them the model's own guess; in a classifier the label; else the output and
               <eos>, one token for each of target_in
    output     the prediction as text, or the output that the caller gave
    notes      what readers should know
    """

    text: str
    source: Tokens
    target_in: Tokens | None
    predicted: Tokens
    output: str
    notes: tuple[str, ...]

    def labels(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the labels of the rows and the columns of the attention of this name.

        In self-attention both are the tokens of one text. In cross-attention a row is labelled
        with the output token that it helps to predict: in the self-attention before it, that
        token's row is the next one.
        """
        if name.endswith("cross"):
            return self.predicted.labels, self.source.labels
        side = self.target_in if name.startswith("decoder") and self.target_in else self.source
        return side.labels, side.labels

    @torch.no_grad()
    def read_by(self, model: nn.Module) -> None:
        """Run the model on the passage. A decoder reads its whole output at once."""
        if self.target_in is None:
            model(self.source.ids)
        else:
            model(self.source.ids, None, self.target_in.ids, logits=False)


def read_passage(
    run: StoredRun, text: str, *, truncate: bool = False, output: str | None = None
) -> Passage:
    """Return what the run's model reads for a text, with its own prediction or with `output`.

    `output` is the output of a sequence-to-sequence model, or the name of a label. `truncate` cuts
    what is longer than the context. Both texts are cleaned as in training. Raises UserError for a
    text that is empty, longer than the context, or has characters that a language model does not
    know; for an output given to a language model; for an unknown label; and as `check_unicode`.
    """
    return _read(run.vocabulary, run, text, output, _Room(run.config.model.context, truncate))


class _Room(NamedTuple):
    """How many tokens a model can read, and whether longer inputs may be cut."""

    context: int
    truncate: bool

    def fit(self, what: str, ids: list[int], special: int = 0) -> tuple[list[int], list[str]]:
        """Return the ids that fit next to `special` symbols, and a note if some were cut.

        Raises UserError if they do not fit and may not be cut.
        """
        length = len(ids) + special
        if length <= self.context:
            return ids, []
        counted = f"{length} tokens{' with its special symbol' if special else ''}"
        if not self.truncate:
            raise UserError(
                f"the {what} has {counted}, and the model reads {self.context}: "
                "shorten it, or cut it with truncate=true"
            )
        left = self.context - special
        return ids[:left], [
            f"the first {left} tokens of {len(ids)}: the rest of the {what} was cut"
        ]


@singledispatch
def _read(
    vocabulary: Vocabulary, run: StoredRun, text: str, output: str | None, room: _Room
) -> Passage:
    raise TypeError(f"unknown vocabulary: {type(vocabulary).__name__}")


@_read.register
def _of_language_model(
    vocabulary: TextVocabulary, run: StoredRun, text: str, output: str | None, room: _Room
) -> Passage:
    if not text:
        raise UserError("the text is empty")
    if output is not None:
        raise UserError(
            "a language model takes only a text: an output can be given to sequence-to-sequence "
            "models, and a label to classifiers"
        )
    tokenizer = vocabulary.tokenizer
    ids, notes = room.fit("text", tokenizer.encode(text))
    source = _tokens(run, ids, tokenizer.spell)
    with torch.no_grad():
        logits, _ = run.model(source.ids)
    guess = int(logits[0, -1].argmax())
    predicted = _tokens(run, [*ids[1:], guess], tokenizer.spell)
    return Passage(text, source, None, predicted, predicted.labels[-1], tuple(notes))


@_read.register
def _of_classifier(
    vocabulary: LabelVocabulary, run: StoredRun, text: str, label: str | None, room: _Room
) -> Passage:
    text, label = clean(text), None if label is None else clean(label, "label")
    tokenizer, names = vocabulary.tokenizer, vocabulary.labels
    if label is not None and label not in names:
        raise UserError(f"{label!r} is not a label of this run: it has {', '.join(names)}")
    ids, notes = room.fit("text", tokenizer.encode(text), special=1)
    source = _tokens(run, [BOS, *ids], tokenizer.spell)
    if label is None:
        with torch.no_grad():
            label = names[int(run.model(source.ids)[0].argmax())]
    number = torch.tensor([[names.index(label)]], device=run.device)
    notes += _notes_of_unknown("text", ids, tokenizer)
    return Passage(text, source, None, Tokens(number, (label,)), label, tuple(notes))


@_read.register
def _of_pair(
    vocabulary: PairVocabulary, run: StoredRun, text: str, output: str | None, room: _Room
) -> Passage:
    text = clean(text)
    ids, notes = room.fit("text", vocabulary.source.encode(text), special=1)
    notes += _notes_of_unknown("text", ids, vocabulary.source)
    source = [*ids, EOS]
    if output is None:
        ((best,),) = search_tokens(run.model, [source], run.config.decoding)
        written = best.tokens  # as `minitx translate` finds it
        output, cut = vocabulary.target.decode(written), written
    else:
        output = clean(output, "output")
        written = vocabulary.target.encode(output)
        cut, more = room.fit("output", written, special=1)
        notes += more + _notes_of_unknown("output", cut, vocabulary.target)
    predicted = [*written, EOS][: len(cut) + 1]  # an output that was cut goes on after the cut
    return Passage(
        text,
        _tokens(run, source, vocabulary.source.spell),
        _tokens(run, [BOS, *cut], vocabulary.target.spell),
        _tokens(run, predicted, vocabulary.target.spell),
        output,
        tuple(notes),
    )


def _notes_of_unknown(what: str, ids: Sequence[int], tokenizer: SequenceTokenizer) -> list[str]:
    if UNK not in ids:
        return []
    unit = "characters" if tokenizer.kind == "char" else "words"
    return [f"{SPECIALS[UNK]} in the {what} stands for {unit} that the model never saw"]


def _tokens(
    run: StoredRun, ids: Sequence[int], spell: Callable[[Sequence[int]], list[str]]
) -> Tokens:
    return Tokens(torch.tensor([list(ids)], device=run.device), tuple(spell(ids)))
