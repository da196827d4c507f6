"""The baseline script measures everything that its settings name, where there is only a processor too."""

import json
from pathlib import Path

import pytest
import torch

from reports.gpu_baseline.__main__ import main
from reports.gpu_baseline.clock import Clock
from reports.gpu_baseline.network import _Decoder

SIZES = {"layers": 2, "hidden": 32, "heads": 4, "kv_heads": 2, "head_dim": 8, "ffn": 48, "vocab": 50}
SMALL = {
    "repeats": 2,
    "warm": 1,
    "limit_s": 0.1,
    "copy_bytes": [1024],
    "host_bytes": [1024, 4096],
    "gather_bytes": [64],
    "gather_total_bytes": 4096,
    "product_rows": [1, 8],
    "product_shapes": [[16, 32]],
    "attention_heads": [[4, 4], [4, 2]],
    "head_dim": 8,
    "decode_keys": [16, 32],
    "decode_batches": [1, 2],
    "prefill_tokens": [16],
    "networks": {"small": SIZES},
    "network_contexts": [16],
    "network_prompts": [8],
}


def test_all_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(SMALL))
    options = ["--settings", str(tmp_path / "settings.json"), "--device", "cpu", "-o", str(tmp_path / "cpu.json")]
    assert main(options) == 0
    found = json.loads((tmp_path / "cpu.json").read_text())
    counts = {"launch": 2, "copy": 1, "product": 2, "decode_attention": 8, "prefill_attention": 2, "host_copy": 8, "gather": 1}
    assert {name: len(found[name]) for name in counts} == counts
    assert [row["phase"] for row in found["network"]] == ["decode", "prefill"]
    assert all(row["seconds"] > 0 for name in (*counts, "network") for row in found[name])
    assert found["settings"] == SMALL
    assert found["gpu"] == {"name": "CPU"}
    assert "on CPU" in capsys.readouterr().out


@torch.no_grad()
def test_decoding_is_the_end_of_a_prompt() -> None:
    """What is timed is a decoder: decoded one by one, the tokens of a prompt give the logits that the prompt gives."""
    decoder = _Decoder(SIZES, Clock(device=torch.device("cpu"), repeats=1, warm=0, limit_s=1.0))
    torch.manual_seed(3)
    x, cache = torch.randn((6, 32)), decoder.cache(6)
    found = torch.zeros(0)
    for count in range(1, 7):
        # A step writes the last place of the cache it is given: views of growing length are filled in order.
        found = decoder.step(x[count - 1 : count], [(k[:, :, :count], v[:, :, :count]) for k, v in cache])
    torch.testing.assert_close(found, decoder.step(x, None), rtol=1e-4, atol=1e-5)
    other = decoder.step(x.flip(0), None)
    assert not torch.allclose(found, other, rtol=1e-2)


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "settings.json").write_text("{")
    assert main(["--settings", str(tmp_path / "settings.json"), "--device", "cpu", "-o", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.startswith("Settings must be a readable JSON file, but: ")
    if not torch.cuda.is_available():
        assert main(["-o", str(tmp_path / "x.json")]) == 2
        assert capsys.readouterr().err == "Device must be cpu where there is no CUDA device, not 'cuda'\n"
    assert not (tmp_path / "x.json").exists()
