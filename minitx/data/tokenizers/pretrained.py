"""Tokenizers that were trained elsewhere: those of the `transformers` library."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models

from minitx.data.cleaning import check_unicode
from minitx.data.tokenizers.base import BYTES, bytes_of
from minitx.data.tokenizers.text import Tokenizer, byte_level, word_tokenizer
from minitx.errors import UserError

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # how byte fallback writes a byte
BLANK = "\u2581"  # SentencePiece's space


class PretrainedTokenizer(Tokenizer):
    """Any tokenizer of the library, for a model with `vocab_size` tokens.

    It adds no special tokens. It may not restore a text exactly: some normalise the text. It cannot
    be part of a checkpoint of minitx, whose tokenizers have a few known parts only.
    """

    def __init__(self, inner: tokenizers.Tokenizer, vocab_size: int) -> None:
        self._inner = inner
        self.kind = "pretrained"
        self._size = vocab_size
        self._tokens = token_bytes(inner, vocab_size)

    @property
    def vocab_size(self) -> int:
        return self._size

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self._size} {self.to_json()}".encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without special tokens. Raises UserError as `check_unicode`."""
        check_unicode(text)
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def encode_array(self, text: str) -> np.ndarray:
        return np.array(self.encode(text), self.dtype)

    def encode_stream(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """Yield the ids of a text that comes in pieces. It is read whole: pieces may not be cut."""
        yield self.encode_array("".join(texts))


def token_bytes(inner: tokenizers.Tokenizer, vocab_size: int) -> list[bytes]:
    """Return the bytes that each id stands for; ids without a token are empty.

    Byte-level tokenizers write bytes as characters, SentencePiece writes spaces as U+2581 and rare
    bytes as <0x0A>. Other pieces, and special tokens, stand for their own text.
    """
    found, read = [b""] * vocab_size, token_reader(inner)
    for token, number in inner.get_vocab(with_added_tokens=True).items():
        if number >= vocab_size:
            raise UserError(
                f"the tokenizer has a token {number} ({token!r}), and the model has {vocab_size} "
                "tokens: they do not belong together"
            )
        found[number] = read(token)
    return found


def token_reader(inner: tokenizers.Tokenizer) -> Callable[[str], bytes]:
    """Return a function that maps a token to the bytes that it stands for: see `token_bytes`."""
    state = inner.decoder.__getstate__() if inner.decoder is not None else b""
    special = {token.content for token in inner.get_added_tokens_decoder().values()}
    writes_bytes = b'"ByteLevel"' in bytes(state)

    def read(token: str) -> bytes:
        if token in special:
            return token.encode()
        if writes_bytes and BYTES.keys() >= set(token):
            return bytes_of(token)
        if byte := _BYTE.fullmatch(token):
            return bytes([int(byte[1], 16)])
        return token.replace(BLANK, " ").encode()

    return read


def from_library(inner: tokenizers.Tokenizer, vocab_size: int) -> Tokenizer:
    """Return a tokenizer of the library as one of minitx, for a model with `vocab_size` tokens.

    If it has the parts of one that minitx trains, as GPT-2's has, it is one, and can be stored in a
    checkpoint. Raises UserError if it has tokens that the model does not have.
    """
    parts = json.loads(inner.to_str())
    # These only add special tokens, cut or pad a text, which minitx never asks for.
    parts |= {"post_processor": None, "truncation": None, "padding": None}
    if inner.get_vocab_size(with_added_tokens=True) == vocab_size:
        try:
            return Tokenizer.from_json(json.dumps(parts))
        except UserError:
            pass  # it has other parts
        if plain := _byte_pairs(parts):
            return plain
    return PretrainedTokenizer(inner, vocab_size)


def numbers(vocab_size: int) -> Tokenizer:
    """Return the tokenizer of a model without one: texts are ids, as in "17 4 99"."""
    return word_tokenizer(map(str, range(vocab_size)))


def _byte_pairs(parts: dict[str, Any]) -> Tokenizer | None:
    """Return the byte pairs of GPT-2's kind in a tokenizer.json; None if it is of another kind."""
    model, before = parts["model"], parts["pre_tokenizer"] or {}
    plain = {"dropout": None, "byte_fallback": False, "ignore_merges": False, "fuse_unk": False}
    fits = (
        model["type"] == "BPE"
        and all(model.get(name, value) == value for name, value in plain.items())
        and not any(model.get(name) for name in ("unk_token", "continuing_subword_prefix"))
        and not model.get("end_of_word_suffix")
        and parts["normalizer"] is None
        and before.get("type") == "ByteLevel"
        and not before["add_prefix_space"]
        and before.get("use_regex", True)
    )
    if not fits:
        return None
    vocab = model["vocab"] | {each["content"]: each["id"] for each in parts["added_tokens"]}
    if not all(BYTES.keys() >= set(token) for token in vocab):
        return None
    merges = [(first, second) for first, second in model["merges"]]
    inner = byte_level(models.BPE(vocab, merges), use_regex=True)
    return Tokenizer.from_json(inner.to_str())
