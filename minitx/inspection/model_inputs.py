"""What a trained model reads of one text, and what it says to it: ids and their labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from minitx.config.schema import DecodingConfig
from minitx.data.tokenizers.sequence import BOS, EOS, SPECIALS, UNK, SequenceTokenizer
from minitx.data.tokenizers.text import Tokenizer
from minitx.decoding.search import beam_search
from minitx.errors import UserError
from minitx.models.classifier import Classifier
from minitx.models.language_model import LanguageModel
from minitx.models.seq2seq import Seq2Seq
from minitx.runs.run import Run
from minitx.runs.vocabulary import LabelVocabulary, PairVocabulary, TextVocabulary


class Tokens(NamedTuple):
    """A sequence of tokens: ids int64 (1, T) on the model's device, and each of them as text."""

    ids: Tensor
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """One text, as a model reads it, and what it makes of it.

    source     what a language model reads, a classifier with <bos>, an encoder with <eos>
    target_in  what a decoder reads: <bos> and the output; None for other models
    predicted  what the model is asked for: after each token of a language model the next one, the
               last being its own guess; a classifier's label; the output and <eos>, a token for
               each of target_in
    output     predicted, as far as the model (or the caller) added it to the text
    notes      what one should know who looks at it
    """

    source: Tokens
    target_in: Tokens | None
    predicted: Tokens
    output: str
    notes: tuple[str, ...]

    def labels(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the rows and columns of the attention of this name are called.

        Self-attention is between the positions of one text, and both are called by the token there.
        A row of cross-attention is called by the token that it helps to predict: the row of the
        self-attention before it, one token on.
        """
        if name.endswith("cross"):
            return self.predicted.labels, self.source.labels
        side = self.target_in if name.startswith("decoder") and self.target_in else self.source
        return side.labels, side.labels


def read_passage(
    run: Run, text: str, *, truncate: bool = False, output: str | None = None
) -> Passage:
    """What the run's model reads of a text, and its answer, or in place of that `output`.

    That is what a sequence-to-sequence model should have written, or the label of a class.
    `truncate` cuts what is longer than the context. Raises UserError for a text that is empty or
    longer than that, or has characters that a language model does not know; for a language model
    that is given an output; and for a label that does not exist.
    """
    vocabulary, room = run.vocabulary, _Room(run.config.model.context, truncate)
    _check_text("text", text, blanks_count=isinstance(vocabulary, TextVocabulary))
    if output is not None:
        _check_text("output", output)
    if isinstance(vocabulary, TextVocabulary):
        if output is not None:
            raise UserError(
                "a language model is given the text alone: an output can be asked for of "
                "sequence-to-sequence models, and a label of classifiers"
            )
        return _of_language_model(run, vocabulary.tokenizer, text, room)
    if isinstance(vocabulary, LabelVocabulary):
        return _of_classifier(run, vocabulary, text, output, room)
    return _of_pair(run, vocabulary, text, output, room)


def _of_language_model(run: Run, tokenizer: Tokenizer, text: str, room: "_Room") -> Passage:
    model = run.model
    assert isinstance(model, LanguageModel)
    ids, notes = room.fit("text", tokenizer.encode(text))
    source = _tokens(run, ids, tokenizer)
    with torch.no_grad():
        logits, _ = model(source.ids)
    guess = int(logits[0, -1].argmax())
    predicted = _tokens(run, [*ids[1:], guess], tokenizer)
    return Passage(source, None, predicted, predicted.labels[-1], tuple(notes))


def _of_classifier(
    run: Run, vocabulary: LabelVocabulary, text: str, label: str | None, room: "_Room"
) -> Passage:
    model, tokenizer, names = run.model, vocabulary.tokenizer, vocabulary.labels
    assert isinstance(model, Classifier)
    if label is not None and label not in names:
        raise UserError(f"{label!r} is no label of this run: it has {', '.join(names)}")
    ids, notes = room.fit("text", tokenizer.encode(text), special=1)
    source = _tokens(run, [BOS, *ids], tokenizer)
    if label is None:
        with torch.no_grad():
            label = names[int(model(source.ids)[0].argmax())]
    number = torch.tensor([[names.index(label)]], device=run.device)
    notes += _notes_of_unknown("text", ids, tokenizer)
    return Passage(source, None, Tokens(number, (label,)), label, tuple(notes))


def _of_pair(
    run: Run, vocabulary: PairVocabulary, text: str, output: str | None, room: "_Room"
) -> Passage:
    model = run.model
    assert isinstance(model, Seq2Seq)
    ids, notes = room.fit("text", vocabulary.source.encode(text), special=1)
    notes += _notes_of_unknown("text", ids, vocabulary.source)
    source = [*ids, EOS]
    if output is None:
        written = _written(model, source, run.config.decoding)
        output, cut = vocabulary.target.decode(written), written
    else:
        written = vocabulary.target.encode(output)
        cut, more = room.fit("output", written, special=1)
        notes += more + _notes_of_unknown("output", cut, vocabulary.target)
    predicted = [*written, EOS][: len(cut) + 1]  # of an output that was cut, what came next
    return Passage(
        _tokens(run, source, vocabulary.source),
        _tokens(run, [BOS, *cut], vocabulary.target),
        _tokens(run, predicted, vocabulary.target),
        output,
        tuple(notes),
    )


def _written(model: Seq2Seq, source: Sequence[int], decoding: DecodingConfig) -> list[int]:
    """The run's own output, as scripts/translate.py finds it."""
    try:
        ((best,),) = beam_search(
            model,
            [source],
            BOS,
            EOS,
            beam=decoding.beam,
            length_penalty=decoding.length_penalty,
            min_length=decoding.min_length,
            max_length=decoding.max_length,
        )
    except ValueError as error:
        raise UserError(f"decoding: {error}") from error
    return best.tokens


class _Room(NamedTuple):
    """How many tokens a model reads, and whether what is longer may be cut."""

    context: int
    truncate: bool

    def fit(self, what: str, ids: list[int], special: int = 0) -> tuple[list[int], list[str]]:
        """The ids that fit beside `special` symbols, and a note if those are not all.

        Raises UserError where they do not fit and may not be cut.
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


def _check_text(what: str, text: str, *, blanks_count: bool = False) -> None:
    """Raises UserError for what no tokenizer can read, or would make nothing of."""
    if not (text if blanks_count else text.strip()):
        raise UserError(f"the {what} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"the {what} is not Unicode from character {error.start} on") from None


def _notes_of_unknown(what: str, ids: Sequence[int], tokenizer: SequenceTokenizer) -> list[str]:
    if UNK not in ids:
        return []
    unit = "characters" if tokenizer.kind == "char" else "words"
    return [f"{SPECIALS[UNK]} in the {what} stands for {unit} that the model never saw"]


def _tokens(run: Run, ids: Sequence[int], tokenizer: Tokenizer | SequenceTokenizer) -> Tokens:
    if isinstance(tokenizer, SequenceTokenizer):
        labels = tokenizer.spell(ids)
    else:
        labels = [tokenizer.decode([i]) for i in ids]
    return Tokens(torch.tensor([list(ids)], device=run.device), tuple(labels))
