"""Upload an exported folder to the Hugging Face hub."""

import os
import re
from pathlib import Path

from minitx.errors import LONGEST_REASON, UserError
from minitx.terminal.text import printable

# A user and a model. The hub allows - and . only inside of a name, and not twice in a row.
NAME = re.compile(r"\w+([.-]\w+)*/\w+([.-]\w+)*", re.ASCII)


def check_push(name: str) -> None:
    """Raise UserError if a model cannot have this name, or if no account is set up here."""
    from huggingface_hub import get_token

    if not NAME.fullmatch(name):
        raise UserError(f"push={name}: name the model as user/name, with letters, digits, - _ .")
    if not get_token():
        raise UserError("push= needs a Hugging Face account: set HF_TOKEN, or run hf auth login")


def upload(folder: Path, name: str) -> str:
    """Upload a folder as the model `name` ("user/model"), and return its address.

    A missing model is created, as a private one. Raises UserError if the hub refuses, or cannot be
    reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        made = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Export from minitx")
    except Exception as error:  # of the library, of its HTTP client, or of the network
        reason = printable(" ".join(str(error).split()))[:LONGEST_REASON]
        raise UserError(
            f"{folder} is written, but push={name} failed ({reason or type(error).__name__}): "
            f"try hf upload {name} {folder}"
        ) from error
    return str(made)
