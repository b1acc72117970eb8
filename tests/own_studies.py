"""A study of a user's own, in files that --config-dir finds."""

from pathlib import Path

import yaml

MINE = ("--config-dir", "files", "study=mine")  # the words that choose it

# Two models, two rates, two seeds.
WHOLE = {
    "sweep": {"optimizer.muon_lr": [0.01, 0.02]},
    "sections": ["quality", "curves", "cost", "tuning"],
    "quick": {"seeds": [1, 2]},
}


def write_study(folder=Path(), **values):
    """Write files/study/mine.yaml below a folder: two models and a seed, with these values."""
    study = {
        "defaults": ["study_schema", "_self_"],
        "name": "mine",
        "question": "Which?",
        "arms": {"transformer": ["model=transformer"], "lstm": ["model=lstm"]},
        "sections": ["quality"],
        "quick": {"seeds": [1]},
    }
    path = folder / "files" / "study" / "mine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(study | values), encoding="utf-8")
