"""Packs a checkpoint and its texts into the parts that a training machine is given, and checks that nothing is lost."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.errors import SpecError
from models import matrices
from models.checkpoint import AffineBlocks, Checkpoint
from models.checkpoint.layout import EMBEDDING, FINAL_NORM, HEAD, block
from models.distill import arrays
from models.distill.prepared import STEM, TEXTS, Prepared, read_prepared, unpack_blocks
from models.distill.rounding import table_codes
from models.matrices import layer_part
from models.tokenizer import Tokenizer

__all__ = ["PART_BYTES", "check", "float_head", "prepare"]

PART_BYTES = 36 << 20
"""Largest size of a part, in bytes."""

_BLOCK = 32
_TOKEN_LIMIT = 1 << 16
_MARK = "⁂"


def prepare(
    checkpoint: Checkpoint,
    texts: Mapping[str, str],
    evaluations: Mapping[str, str],
    folder: Path,
    *,
    head: QuantizedMatrix,
    part_bytes: int = PART_BYTES,
) -> list[Path]:
    """Write the parts and return their paths.

    head: the weights of `float_head` quantized to 8 bits, as the engine gets them.
    texts: what to train on, by the names in TEXTS.
    evaluations: texts to predict after training, by name; they must not be in `texts`.

    SpecError when the model has biases or normalized heads, an untied head, no tokenizer, or more tokens than 16 bits count.
    """
    config = checkpoint.config
    if config.qkv_bias:
        raise SpecError(f"The teacher of a distillation must have no biases, but {config.name} has some")
    if config.has_head_norms:
        raise SpecError(f"The teacher of a distillation must have no normalized heads, but those of {config.name} are normalized")
    tokenizer = checkpoint.tokenizer_for("Distillation")
    if config.vocab > _TOKEN_LIMIT:
        raise SpecError(f"Vocabulary of a teacher must have at most {_TOKEN_LIMIT} tokens, not the {config.vocab} of {config.name}")
    held: dict[str, np.ndarray] = {
        "config": arrays.from_text(config.to_json()),
        "source": arrays.from_text(Path(checkpoint.source).name),
        "source_digest": arrays.from_text(checkpoint.digest),
    }
    for layer in range(config.layers):
        for part, names in matrices.LINEARS.items():
            _put_matrix(held, checkpoint, layer_part(layer, part), [f"{block(layer, name)}.weight" for name in names])
        for part, name in matrices.NORMS.items():
            held[f"{layer_part(layer, part)}.gain"] = checkpoint.tensor(f"{block(layer, name)}.weight").numpy()
    held[f"{matrices.FINAL_NORM}.gain"] = checkpoint.tensor(f"{FINAL_NORM}.weight").numpy()
    _put_matrix(held, checkpoint, "embedding", [f"{EMBEDDING}.weight"])
    if not config.tied_head:
        _put_matrix(held, checkpoint, "head", [f"{HEAD}.weight"])
    held["head_grid.scale"] = head.scale
    held["head_grid.row"] = (head.mantissa * np.exp2(head.exponent.astype(np.float64))).astype(np.float32)
    for kind, contents in (("text", texts), ("evaluation", evaluations)):
        for name, content in contents.items():
            held[f"{kind}.{name}"] = _tokens(tokenizer, content)
    if missing := [name for name in TEXTS if name not in texts]:
        raise SpecError(f"Distillation must have the text {missing[0]}, which is missing")
    held["chat"], held["turn"] = _conversation(tokenizer)
    held["end"] = np.array(tokenizer.eos_ids, np.int64)
    paths = arrays.split(folder, STEM, held, limit=part_bytes)
    check(read_prepared(folder), checkpoint, head)
    return paths


def check(prepared: Prepared, checkpoint: Checkpoint, head: QuantizedMatrix) -> None:
    """Raise SpecError unless the parts give back the checkpoint's own floats and the head the engine gets, bit for bit."""
    config = checkpoint.config
    expected = {
        layer_part(layer, part): torch.cat([checkpoint.tensor(f"{block(layer, name)}.weight") for name in names])
        for layer in range(config.layers)
        for part, names in matrices.LINEARS.items()
    }
    table = checkpoint.tensor(f"{EMBEDDING}.weight")
    integer_head = torch.from_numpy(head.dequantize().astype(np.float32))
    pairs = [(name, prepared.weights[name], weight) for name, weight in expected.items()]
    pairs += [("embedding", prepared.embedding, table), ("head", prepared.integer_head, integer_head)]
    pairs += [("float head", prepared.head, float_head(checkpoint))]
    for name, found, weight in pairs:
        if not torch.equal(found, weight):
            raise SpecError(f"Prepared {name} must be the checkpoint's bit for bit, but differs")


def float_head(checkpoint: Checkpoint) -> torch.Tensor:
    """Return the weights of the head, float32 [vocab, hidden]."""
    return checkpoint.tensor(f"{EMBEDDING if checkpoint.config.tied_head else HEAD}.weight")


def _put_matrix(held: dict[str, np.ndarray], checkpoint: Checkpoint, name: str, sources: Sequence[str]) -> None:
    """Store a matrix as its 4-bit or 8-bit blocks if it consists of such, and as floats otherwise."""
    weight = torch.cat([checkpoint.tensor(source) for source in sources])
    blocks = AffineBlocks.stacked([checkpoint.blocks(source) for source in sources])
    if blocks is not None:
        nibbles = blocks.codes.numpy()
        held[f"{name}.nibbles"] = nibbles[:, ::2] | nibbles[:, 1::2] << 4
        held[f"{name}.scales"] = blocks.scales.numpy().astype(np.float16)
        held[f"{name}.minima"] = blocks.minima.numpy().astype(np.float16)
        return
    if weight.shape[1] % _BLOCK == 0:
        # Q8_0 has a float16 scale and whole multiples of it: found again where the floats come from such blocks.
        codes, scales = table_codes(weight)
        whole = codes.to(torch.int8).flatten(1).numpy()
        if torch.equal(unpack_blocks(whole, scales.numpy()), weight):
            held[f"{name}.codes"], held[f"{name}.scales"] = whole, scales.numpy()
            return
    held[name] = weight.numpy()


def _tokens(tokenizer: Tokenizer, text: str) -> np.ndarray:
    return np.array(tokenizer.encode(text), np.uint16)


def _conversation(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens before the user's first words, and those between the end of a turn and the next speaker's name."""
    nothing = np.zeros(0, np.uint16)
    if tokenizer.chat_template is None:
        return nothing, nothing
    turns = [{"role": "user", "content": _MARK}, {"role": "assistant", "content": _MARK}, {"role": "user", "content": _MARK}]
    before, first, second, *_ = tokenizer.render_chat(turns, asks_for_answer=False).split(_MARK)
    # The tokens that two changes of speaker have in common come before any speaker's name.
    shared = 0
    while shared < min(len(first), len(second)) and first[shared] == second[shared]:
        shared += 1
    tokens = _tokens(tokenizer, first[:shared])
    return _tokens(tokenizer, before), tokens[1:] if len(tokens) and int(tokens[0]) in tokenizer.eos_ids else tokens
