"""Open a folder with a model of the `transformers` library: offline, and without pickles."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minitx.errors import UserError, short_reason

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt")


def is_model_folder(folder: Path) -> bool:
    """Return whether a folder looks like one that `save_pretrained` wrote."""
    return (folder / "config.json").is_file() and not (folder / "config.yaml").exists()


def open_folder(folder: Path) -> tuple[Any, Any]:
    """Return the model in a folder, in eval mode, and its tokenizer, or None without one.

    The model is of the class of `transformers` that its config names. Nothing is downloaded, and no
    code of the folder is executed. Raises UserError if `transformers` is not installed, for
    a folder without a model or with pickles, and for a model that the library cannot read.
    """
    check_folder(folder)
    try:
        import transformers
    except ImportError:
        raise UserError(
            f'{folder} is a model of transformers: pip install "minitx[transformers]"'
        ) from None
    offline = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), **offline)
        model = _kind(transformers, config.architectures or ()).from_pretrained(
            str(folder),
            use_safetensors=True,
            attn_implementation="eager",  # config.json may name a kernel, which is downloaded
            **offline,
        )
        has_tokenizer = any((folder / name).is_file() for name in TOKENIZERS)
        tokenizer = (
            transformers.AutoTokenizer.from_pretrained(str(folder), **offline)
            if has_tokenizer
            else None
        )
    except Exception as error:  # the library raises almost anything for what it cannot read
        raise UserError(
            f"{folder} cannot be read by transformers: {short_reason(error)}"
        ) from error
    return model.eval(), tokenizer


def _kind(transformers: Any, names: Iterable[str]) -> Any:
    """Return the first of these classes of models that the library has, else its AutoModel."""
    kinds = (getattr(transformers, name, None) for name in names)
    models = (
        kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
    )
    return next(models, transformers.AutoModel)


def check_folder(folder: Path) -> None:
    """Raise UserError if a folder holds no model, or one in pickles, which could run code."""
    if not folder.is_dir() or not is_model_folder(folder):
        raise UserError(
            f"{folder} is not a model of transformers: give a model, or a folder that "
            "save_pretrained wrote"
        )
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(each.name for each in folder.iterdir() if each.suffix in PICKLED)
    if pickles:
        raise UserError(
            f"{folder} holds its weights as a pickle ({pickles[0]}), which could run code: only "
            "safetensors are opened, which save_pretrained writes"
        )
    raise UserError(f"{folder} holds no weights: there is no .safetensors file in it")
