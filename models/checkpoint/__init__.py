"""Opens a checkpoint: a Hugging Face folder, a GGUF file, or the name of one that ships."""

from pathlib import Path

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest
from models.checkpoint import gguf, huggingface, shipped
from models.checkpoint.base import AffineBlocks, Checkpoint, TensorStore, Weights

__all__ = ["AffineBlocks", "Checkpoint", "TensorStore", "Weights", "load"]


def load(source: str | Path) -> Checkpoint:
    """Return the checkpoint at a folder or `.gguf` file, or the shipped one called `source`.

    Configuration, tensor names and shapes are checked here; values when a tensor is first read.
    CheckpointError says what is wrong in one sentence.
    """
    if str(source) in shipped.NAMES:
        return gguf.load(shipped.locate(str(source)), name=str(source))
    path = Path(source)
    if path.is_dir():
        return huggingface.load(path)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return gguf.load(path)
    raise CheckpointError(
        f"Checkpoint must be a folder, a .gguf file or {nearest(str(source), shipped.NAMES)}, not {shown(str(source))}"
    )
