"""What a training machine is given is the checkpoint, bit for bit, or it is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hwsim.arch.formats import QuantizedMatrix
from hwsim.arch.isa import Format
from hwsim.errors import SpecError
from models.checkpoint import AffineBlocks, Checkpoint, load
from models.compress import rtn
from models.compress.pipeline import embedding
from models.distill import arrays
from models.distill.prepare import check, float_head, prepare
from models.distill.prepared import STEM, read_prepared
from models.distill.student import host_table
from tests.models.distill.small import small_checkpoint, small_prepared
from tests.models.tiny import tiny_checkpoint
from tests.reports.tiny_folder import TEXT, write_checkpoint

TEXTS = {"public-domain": TEXT, "wikipedia": TEXT[::-1]}


def head(checkpoint: Checkpoint) -> QuantizedMatrix:
    return rtn.quantize(float_head(checkpoint), Format.W8)


def test_nothing_is_lost(tmp_path: Path) -> None:
    checkpoint = load(write_checkpoint(tmp_path / "hf"))
    paths = prepare(checkpoint, TEXTS, {"held": TEXT[:90]}, tmp_path / "parts", head=head(checkpoint), part_bytes=100_000)
    assert len(paths) > 1
    assert all(path.stat().st_size <= 100_000 for path in paths)
    found = read_prepared(tmp_path / "parts")
    check(found, checkpoint, head(checkpoint))
    assert found.config == checkpoint.config
    assert checkpoint.tokenizer is not None
    assert found.texts["wikipedia"].tolist() == checkpoint.tokenizer.encode(TEXT[::-1])
    assert found.evaluations["held"].tolist() == checkpoint.tokenizer.encode(TEXT[:90])
    assert found.end.tolist() == list(checkpoint.tokenizer.eos_ids)
    assert checkpoint.tokenizer.decode(found.chat.tolist()) == ""
    assert len(found.chat) == len(found.turn) == 1
    paths[0].unlink()
    with pytest.raises(SpecError, match=f"parts of prepared, but lacks {paths[0].name}"):
        read_prepared(tmp_path / "parts")


def test_four_bit_blocks_stay_integers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in GGUF files: codes, float16 scales and minima of 32 inputs."""
    random = torch.Generator().manual_seed(5)
    checkpoint = load(write_checkpoint(tmp_path / "hf"))
    kinds = {}
    for name, shape in {name: tuple(tensor.shape) for name, tensor in checkpoint.weights.items()}.items():
        if "norm" in name or "embed" in name:
            continue
        pair = (torch.randn((2, shape[0], shape[1] // 32), generator=random) * 0.01).half().float()
        codes = torch.randint(0, 16, shape, generator=random).to(torch.uint8)
        kinds[name] = AffineBlocks(codes=codes, scales=pair[0], minima=pair[1])
    read = type(checkpoint.weights).__getitem__
    monkeypatch.setattr(type(checkpoint.weights), "blocks", lambda self, name: kinds.get(name))
    monkeypatch.setattr(
        type(checkpoint.weights), "__getitem__", lambda self, name: kinds[name].dequantized() if name in kinds else read(self, name)
    )
    prepare(checkpoint, TEXTS, {}, tmp_path / "parts", head=head(checkpoint))
    held = arrays.read(arrays.content(tmp_path / "parts", STEM), STEM)
    assert held["layers.0.qkv.nibbles"].dtype == np.uint8
    assert held["layers.0.qkv.scales"].dtype == np.float16
    check(read_prepared(tmp_path / "parts"), checkpoint, head(checkpoint))


def test_the_host_table_is_the_integer_models() -> None:
    table = torch.randn((40, 96), generator=torch.Generator().manual_seed(6))
    stored = embedding(table)
    wanted = torch.from_numpy(stored.codes.astype(np.float32) * np.repeat(stored.scales.astype(np.float32), 32, axis=1))
    assert torch.equal(host_table(table), wanted)
    assert torch.equal(host_table(wanted), wanted)


@pytest.mark.parametrize("name", ["layers.1.down", "embedding", "integer_head"])
def test_a_changed_weight_is_found(tmp_path: Path, name: str) -> None:
    checkpoint = small_checkpoint(tmp_path)
    prepared = small_prepared(checkpoint)
    check(prepared, checkpoint, head(checkpoint))
    tensor = (prepared.weights[name] if name in prepared.weights else getattr(prepared, name)).clone()
    tensor[3, 5] = torch.nextafter(tensor[3, 5], torch.tensor(9.0))
    if name in prepared.weights:
        changed = dataclasses.replace(prepared, weights={**prepared.weights, name: tensor})
    else:
        changed = dataclasses.replace(prepared, **{name: tensor})
    with pytest.raises(SpecError, match="must be the checkpoint's bit for bit, but differs"):
        check(changed, checkpoint, head(checkpoint))


def test_refusals(tmp_path: Path) -> None:
    checkpoint = load(write_checkpoint(tmp_path / "hf"))
    with pytest.raises(SpecError, match="Distillation must have the text wikipedia, which is missing"):
        prepare(checkpoint, {"public-domain": TEXT}, {}, tmp_path / "parts", head=head(checkpoint))
    with pytest.raises(SpecError, match="Distillation must have a tokenizer, but the checkpoint tiny carries none"):
        small = small_checkpoint(tmp_path)
        prepare(small, TEXTS, {}, tmp_path / "parts", head=head(small))
    with pytest.raises(SpecError, match="must have no normalized heads, but those of tiny are normalized"):
        normed = tiny_checkpoint(tmp_path, has_head_norms=True, is_tied=True)
        prepare(normed, TEXTS, {}, tmp_path / "parts", head=head(small))
    with pytest.raises(SpecError, match=r"must hold prepared-1-of-\.\.\.\.part, which is missing"):
        read_prepared(tmp_path / "nothing")
