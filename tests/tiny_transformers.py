"""Tiny models of the `transformers` library with random weights, built from configs, offline."""

import os

import pytest

if "CI" not in os.environ:  # there, nothing may be skipped
    pytest.importorskip("transformers")
os.environ["HF_HUB_OFFLINE"] = "1"  # before the library is imported
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from torch import nn

TEXT = "to be, or not to be"
CORPUS = [TEXT, "that is the question", "whether it is nobler in the mind"]


def randomise(model, seed=0):
    """In eval mode, with larger weights than a fresh model has, so that every part of it shows."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.eval()


def byte_pairs():
    """A tokenizer of GPT-2's kind: byte-level pairs and one special token."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>"]
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=280, initial_alphabet=alphabet, special_tokens=special, show_progress=False
        ),
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=special[0])


def sentence_pieces():
    """A tokenizer of Llama 2's kind: blanks written as U+2581, bytes as <0x0A>, and <s> first."""
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = ["\u2581", *sorted(set("".join(CORPUS)) - {" "})]
    vocab = {token: i for i, token in enumerate([*special, *letters, "\u2581t", "\u2581b"])}
    merges = [("\u2581", "t"), ("\u2581", "b")]
    inner = tokenizers.Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    inner.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("\u2581"), tokenizers.normalizers.Replace(" ", "\u2581")]
    )
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    inner.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def word_pieces():
    """A tokenizer of BERT's kind: pieces of words between [CLS] and [SEP]."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "to", "be", "or", "not", "quest", "##ion", ","]
    inner = tokenizers.Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


def gpt2(vocab_size, **changes):
    settings = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32} | changes
    config = transformers.GPT2Config(
        vocab_size=vocab_size, bos_token_id=None, eos_token_id=None, **settings
    )
    return randomise(transformers.GPT2LMHeadModel(config))


def llama(vocab_size, **changes):
    settings = {
        "hidden_size": 16,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
        "rms_norm_eps": 1e-5,
    } | changes
    config = transformers.LlamaConfig(
        vocab_size=vocab_size, bos_token_id=None, eos_token_id=None, **settings
    )
    return randomise(transformers.LlamaForCausalLM(config))
