"""A small study from the command line, in an empty folder."""

import pytest
from own_studies import MINE, WHOLE, write_study


@pytest.fixture
def words(text_file, tmp_path, monkeypatch):
    """For a study of which each run takes a second, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return [
        *("task=text", f"data.path={text_file}", "logger=none", "study.dir=study"),
        *("model.dim=32", "model.layers=1", "model.context=16", "data.batch_size=8"),
        *("trainer.max_steps=10", "trainer.val_every=5"),
    ]


@pytest.fixture
def compare(script, briefly, words):
    """Runs a study that has some values changed."""

    def compare(*more, **changes):
        write_study(**WHOLE | changes)
        return script("compare", *MINE, *words, *more)

    return compare
