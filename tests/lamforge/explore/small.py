"""A study of few points that take milliseconds: a network of two layers on the smallest engine."""

from __future__ import annotations

import json
from pathlib import Path

import lamforge
from lamforge.explore.exploration import Exploration
from lamforge.explore.study import Study, study_of

__all__ = ["AXES", "FEW_AXES", "document", "explored_study", "rows_of", "study", "write_network"]

AXES: dict[str, object] = {
    "engine.fetch.fifo_beats": [16, 32, 64],
    "engine.fetch.burst_beats": [8, 16],
    "head.format": ["w4", "w8"],
    "memory": ["ideal", "hbm2"],
}
FEW_AXES: dict[str, object] = {name: values for name, values in AXES.items() if name != "engine.fetch.burst_beats"}
_NETWORK = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 96,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}


def write_network(folder: Path) -> Path:
    """Write the configuration of the network and return its path."""
    path = folder / "network.json"
    path.write_text(json.dumps(_NETWORK))
    return path


def document(folder: Path, **changes: object) -> dict[str, object]:
    """Return the study as plain values, with the network written into a folder."""
    base = {"network": str(write_network(folder)), "engine": "tiny", "context": 16, "layers.format": "w4"}
    objectives = {"token_per_s": "maximize", "engine.fetch.fifo_beats": "minimize"}
    return {"name": "small", "base": base, "axes": AXES, "objectives": objectives, "exact": "all"} | changes


def study(folder: Path, **changes: object) -> Study:
    """Return the study."""
    return study_of(document(folder, **changes))


def explored_study(folder: Path) -> Exploration:
    """Explore the study over few axes, of which some designs miss its constraint, into a folder within `folder`."""
    return lamforge.explore(study(folder, axes=FEW_AXES, constraints={"token_per_s": {"at_least": 14000}}), output=folder / "out")


def rows_of(folder: Path) -> list[dict[str, object]]:
    """Return all rows of the results in a folder, by fidelity and point, without wall times."""
    import pyarrow as pa
    import pyarrow.parquet

    parts = [pyarrow.parquet.read_table(path) for path in sorted((folder / "parts").glob("*.parquet"))]
    rows = pa.concat_tables(parts).drop_columns(["wall_s"]).to_pylist()
    return sorted(rows, key=lambda row: (row["fidelity"], row["point"]))
