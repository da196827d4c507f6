"""How many keys a query of a trained network may read, as the window entries of its config.json say it."""

from collections.abc import Mapping

from hwsim.errors import CheckpointError, shown
from models.families import Family, boolean, integer

__all__ = ["WINDOW_ENTRIES", "sliding_window"]

WINDOW_ENTRIES = ("sliding_window", "use_sliding_window", "max_window_layers", "layer_types")
"""Entries of config.json that `sliding_window` reads."""

_FULL, _SLIDING = "full_attention", "sliding_attention"


def sliding_window(document: Mapping[str, object], family: Family, layers: int) -> int | None:
    """Return the keys that a query may read, itself included, or None for all.

    document: a parsed config.json with the defaults of its family.
    layers: number of decoder blocks.

    A family whose defaults have `use_sliding_window` (Qwen2) slides, where that entry is true, in the layers that `layer_types`
    names or from `max_window_layers` on; one whose defaults have `sliding_window` alone (Mistral) slides in all layers, where it
    is not null; the others slide in none. CheckpointError where layers would differ, or where entries contradict each other.
    """
    defaults = family.defaults
    if "use_sliding_window" in defaults:
        is_used = boolean(document, "use_sliding_window", False)
    else:
        is_used = document.get("sliding_window") is not None
        if document.get("use_sliding_window") not in (None, is_used):
            raise CheckpointError(
                f"config.json use_sliding_window must be absent in a {family.model_type} model whose sliding_window is "
                f"{shown(document.get('sliding_window'))}, not {shown(document['use_sliding_window'])}"
            )
    window = integer(document, "sliding_window") if is_used and document.get("sliding_window") is not None else None
    if window is not None and "sliding_window" not in defaults:
        raise CheckpointError(f"config.json sliding_window must be null in a {family.model_type} model, not {shown(window)}")
    kinds = _layer_kinds(document, family, layers, window)
    if len(kinds) > 1:
        raise CheckpointError(
            f"config.json layer_types and max_window_layers must make all {layers} layers slide or none, not some: layers are alike"
        )
    if kinds == {_SLIDING} and window is None:
        raise CheckpointError(
            f"config.json layer_types must all be {shown(_FULL)} where no sliding_window is used, not {shown(_SLIDING)}"
        )
    if kinds == {_FULL} and window is not None and "use_sliding_window" not in defaults:
        raise CheckpointError(
            f"config.json layer_types must all be {shown(_SLIDING)} in a model with a sliding_window, not {shown(_FULL)}"
        )
    return window if kinds == {_SLIDING} else None


def _layer_kinds(document: Mapping[str, object], family: Family, layers: int, window: int | None) -> set[str]:
    """Return the kinds of attention of all layers."""
    kinds = document.get("layer_types")
    if kinds is None and window is None:
        return {_FULL}
    if kinds is None and "max_window_layers" not in family.defaults:
        if document.get("max_window_layers") is not None:
            raise CheckpointError(
                f"config.json max_window_layers must be absent in a {family.model_type} model with a sliding_window"
            )
        return {_SLIDING}
    if kinds is None:
        first = document.get("max_window_layers")
        if isinstance(first, bool) or not isinstance(first, int):
            raise CheckpointError(f"config.json max_window_layers must be an integer, not {shown(first)}")
        return {kind for kind, is_there in ((_FULL, first > 0), (_SLIDING, first < layers)) if is_there}
    if not isinstance(kinds, list) or len(kinds) != layers or not all(kind in (_FULL, _SLIDING) for kind in kinds):
        raise CheckpointError(f"config.json layer_types must be {layers} of '{_FULL}' or '{_SLIDING}', not {shown(kinds)}")
    return set(kinds)
