"""What a process behind the fence can change, and what it cannot."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, shutil, sys
from pathlib import Path
from tests.mutation.fence import fence
inner, outer = Path("in").absolute(), Path("out").absolute()
fence(inner)
(inner / "new").write_text("a")
os.replace(inner / "new", inner / "moved")
Path("/dev/null").write_text("gone")
(outer / "kept").read_text()
os.chdir(inner)
Path("here").mkdir()
attempts = [
    lambda: (outer / "kept").write_text("b"),
    lambda: open(outer / "kept", "a"),
    lambda: os.replace(inner / "moved", outer / "kept"),
    lambda: os.replace("moved", "../out/kept"),
    lambda: os.replace(outer / "kept", inner / "moved"),
    lambda: (outer / "kept").unlink(),
    lambda: (outer / "folder").mkdir(),
    lambda: shutil.rmtree(outer),
    lambda: (outer / "kept").chmod(0),
    lambda: (inner / "way").write_text("through a link"),
]
for number, attempt in enumerate(attempts):
    try:
        attempt()
    except PermissionError as error:
        assert "must change nothing outside" in str(error)
    else:
        print("attempt", number, "went through")
"""


def test_nothing_outside_is_changed(tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "kept").write_text("as it was")
    (tmp_path / "in" / "way").symlink_to(tmp_path / "out" / "kept")
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run(
        [sys.executable, "-B", "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)
    assert (tmp_path / "out" / "kept").read_text() == "as it was"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept"]
