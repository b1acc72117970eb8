"""Run lessons again and store their outputs: python docs/execute_lessons.py docs/lessons/*.ipynb

A translation, such as NAME.zh-CN.ipynb, is not run: it gets the code and the outputs of NAME.ipynb.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FILES = sorted((Path(__file__).parent / "lessons").glob("*.ipynb"))
LESSONS = [path for path in FILES if len(path.suffixes) == 1]
RESET = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f")])


def execute(paths: Sequence[Path]) -> list[NotebookNode]:
    """Return the notebooks with new outputs.

    They run in one kernel, because to import torch takes as long as a lesson, but no name survives
    from one to the next. What they write is left in a temporary folder. Text on stderr, such as the
    progress of training, is dropped: it differs each time.
    """
    lessons = [nbformat.read(path, as_version=4) for path in paths]
    with tempfile.TemporaryDirectory() as place:
        folders = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
        environment = {name: os.path.join(place, name) for name in folders}
        resources = {"metadata": {"path": place}}
        client = NotebookClient(
            lessons[0], resources=resources, record_timing=False, coalesce_streams=True
        )
        with patch.dict(os.environ, environment), client.setup_kernel():
            for client.nb in chain.from_iterable(zip(repeat(RESET), lessons)):
                for index, cell in enumerate(client.nb.cells):
                    client.execute_cell(cell, index)
    for lesson in lessons:
        code = [cell for cell in lesson.cells if cell.cell_type == "code"]
        for number, cell in enumerate(code, start=1):
            cell.execution_count = number
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return lessons


def translate(lesson: NotebookNode, translation: NotebookNode) -> NotebookNode:
    """Return the cells of a lesson, with the prose of its translation."""
    pairs = zip(lesson.cells, translation.cells, strict=True)
    cells = [prose if cell.cell_type == "markdown" else cell for cell, prose in pairs]
    return nbformat.from_dict(lesson | {"cells": cells})


if __name__ == "__main__":
    asked = [Path(word) for word in sys.argv[1:]] or LESSONS
    chosen = [path for path in asked if len(path.suffixes) == 1]
    for path, lesson in zip(chosen, execute(chosen), strict=True):
        nbformat.write(lesson, path)
        for other in path.parent.glob(f"{path.stem}.*.ipynb"):
            nbformat.write(translate(lesson, nbformat.read(other, as_version=4)), other)
