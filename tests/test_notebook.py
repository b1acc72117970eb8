"""Test that the notebook in docs/ runs completely, and is stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "inspect.ipynb"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell of code shows, by its source: text, and data by its type."""
    place = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(place / name))
        NotebookClient(notebook, resources={"metadata": {"path": place}}).execute()
    return {cell.source: cell.outputs for cell in code_cells(notebook)}


def shown(outputs, start):
    """The texts and the data of the cell whose source starts like this."""
    (cell,) = [found for source, found in outputs.items() if source.startswith(start)]
    text = "".join(each.text for each in cell if each.output_type == "stream")
    data = {kind: value for each in cell for kind, value in each.get("data", {}).items()}
    return text, data


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in code_cells(notebook):
        assert (cell.outputs, cell.execution_count) == ([], None)


def test_it_runs_and_says_what_it_promises(outputs):
    text, _ = shown(outputs, "text =")
    assert "['decoder.layers.0.self', 'decoder.layers.1.self'] (4, 43, 43)" in text
    assert "largest weight on a later token: 0.0\n" in text
    measured, _ = shown(outputs, "from minitx.inspection.induction")
    assert measured.count("decoder.layers.") == 8
    without, _ = shown(outputs, "import torch")
    losses = {line.rpartition(": ")[2] for line in without.splitlines()}
    assert len(losses) == 5  # every head counts for something
    assert "{'look': (1, 4, 5, 5)}" in shown(outputs, "from torch import nn")[0]


def test_it_shows_the_picture_and_the_page(outputs):
    assert "image/png" in shown(outputs, "maps.plot()")[1]
    page = shown(outputs, "maps.show()")[1]["text/html"]
    assert page.startswith("<iframe")
    assert "srcdoc" in page
