"""The notebook runs from its first cell to its last, and prints what it has stored."""

import json
import subprocess
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
# In a process of its own: the kernel's libraries warn, and warnings are errors here.
_PRINTED = "\0"
"""Mark of what was printed."""
EXECUTE = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": sys.argv[2]}}).execute()
nbformat.write(notebook, sys.argv[3])
"""


def outputs(path: Path) -> list[list[str]]:
    """Return what each cell of code printed, and the kinds of what it showed."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    found = []
    for cell in cells:
        shown: list[str] = []
        for each in cell["outputs"]:
            if each["output_type"] == "stream" and shown and shown[-1].endswith(_PRINTED):
                # A kernel may send what a cell prints in several pieces.
                shown[-1] = shown[-1].removesuffix(_PRINTED) + "".join(each["text"]) + _PRINTED
            else:
                shown.append(
                    "".join(each["text"]) + _PRINTED if each["output_type"] == "stream" else " ".join(sorted(each["data"]))
                )
        found.append(shown)
    return found


def test_the_notebook_prints_what_it_has_stored(empty_folder: Path) -> None:
    executed = empty_folder / "executed.ipynb"
    command = [sys.executable, "-c", EXECUTE, str(NOTEBOOK), str(empty_folder), str(executed)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    stored = outputs(NOTEBOOK)
    assert sum(map(len, stored)) > 8, "the notebook must have its outputs stored"
    assert outputs(executed) == stored
