"""The corpus that a config names, as tokens."""

from pathlib import Path

from minitx.config import Config
from minitx.data.corpora import Corpus, shakespeare, text_file, tiny_shakespeare
from minitx.data.token_store import TokenStore, default_cache_dir, open_tokens
from minitx.errors import UserError


def open_store(config: Config) -> TokenStore:
    """Tokenises the corpus, or finds it in the cache. Raises UserError where it cannot be had."""
    cache = Path(config.data.cache_dir) if config.data.cache_dir else default_cache_dir()
    return open_tokens(_corpus(config), config.data.tokenizer, config.data.vocab_size, cache)


def _corpus(config: Config) -> Corpus:
    if config.task.name == "tiny_shakespeare":
        return tiny_shakespeare(Path(config.data.dir) if config.data.dir else None)
    if config.task.name == "text":
        if config.data.path is None:
            raise UserError("task=text needs your file: data.path=my.txt")
        return text_file(Path(config.data.path), config.data.held_out)
    return shakespeare()
