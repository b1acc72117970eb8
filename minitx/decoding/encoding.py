"""Encode the user's texts for a model that reads each as a whole."""

from minitx.data.cleaning import clean
from minitx.data.tokenizers.sequence import UNK, SequenceTokenizer
from minitx.errors import UserError
from minitx.terminal.text import note


def encode_text(text: str, tokenizer: SequenceTokenizer, context: int) -> list[int]:
    """Return a text's ids for a model with this context, without the special symbol it reads too.

    The text is cleaned as in training. Raises UserError as `clean`, and for a text that is longer
    than the context. Prints a note on standard error if the text has characters or words that the
    tokenizer does not know.
    """
    text = clean(text)
    ids = tokenizer.encode(text)
    length = len(ids) + 1
    if length > context:
        raise UserError(
            f"the text has {length} tokens with one special symbol, and the model reads "
            f"{context}: shorten it, or train with model.context={length}"
        )
    if UNK in ids:
        unit = "characters" if tokenizer.kind == "char" else "words"
        note(f"note: {text!r} has {unit} that the model never saw")
    return ids
