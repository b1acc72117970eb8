"""Text as models read it. The texts of a corpus, of a command line and of Python all pass here."""

from minitx.errors import UserError


def clean(text: str, name: str = "text") -> str:
    """Return a text without the white space around it.

    A model that reads a text as a whole, and writes one or a label, knows only such texts. Running
    text is not cleaned, because a language model reads and writes white space too.

    Raises UserError, which calls the text `name`, if nothing is left, and as `check_unicode` does.
    """
    text = text.strip()
    if not text:
        raise UserError(f"the {name} is empty")
    check_unicode(text, name)
    return text


def check_unicode(text: str, name: str = "text") -> None:
    """Raise UserError, which calls the text `name`, if it cannot be encoded as UTF-8.

    Python has such texts for a command line in another encoding. JSON and YAML can contain half of
    a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the {name} is not Unicode from character {error.start} on: convert it to UTF-8"
        ) from None
