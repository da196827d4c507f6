"""A fixed list of calls of the command whose `--json` must not change: with each, the file that keeps what it printed."""

from __future__ import annotations

__all__ = ["CALLS", "SYSTEMS"]

SYSTEMS = (
    "flexgen-a100",
    "flexgen-a100-drive",
    "flexgen-t4",
    "fpga-accllm",
    "fpga-flightllm",
    "fpga-u280",
    "gpu-a100",
    "gpu-a100-x2",
    "gpu-a6000",
    "gpu-h100",
    "gpu-h200",
    "gpu-rtx-4090",
    "instinfer-dense",
    "instinfer-flexgen",
    "instinfer-sparf",
    "instinfer-sparq",
    "shadowkv-a100",
    "stream-4090-x2",
    "triforce-4090",
    "triforce-4090-x2",
    "triforce-a100",
    "zero-4090",
    "zero-a100",
    "zero-a100-host",
    "zero-a6000",
    "zero-h100",
    "zero-h200",
    "zero-t4",
    "zero-v100",
)
"""Systems of offloading, each of which is run once."""

_LLAMA = "simulate --workload llama-2-7b --engine u280 --context 2048 --memory hbm2"
_SMALL = "simulate --workload smollm2-135m --engine small --context 256"
_EVALUATE = "evaluate {made}/model --source {made}/hf --text {made}/text.txt --window 128 --windows 3"
_INSTINFER = "offload run instinfer-sparf --model opt-13b --prompt 1024 --generate 1024 --batch 64"

CALLS: dict[str, str] = {
    "simulate-llama": _LLAMA,
    "simulate-llama-empty": f"{_LLAMA} --position 0",
    "simulate-llama-batch": f"{_LLAMA} --batch 4",
    "simulate-llama-prompt": f"{_LLAMA} --prompt 512",
    "simulate-llama-head-w8": f"{_LLAMA} --head w8",
    "simulate-llama-kv8": f"{_LLAMA} --cache kv8",
    "simulate-llama-w4": f"{_LLAMA} --format w4 --set channel_bytes=536870912 --program prefill",
    "simulate-u55c": "simulate --workload llama-2-7b --engine u55c --context 1024 --memory hbm2:3",
    "simulate-llama-3": "simulate --workload llama-3-8b --engine u280 --context 2048",
    "simulate-mistral": "simulate --workload mistral-7b --engine u280 --context 1024 --format w2 --position 3",
    "simulate-qwen": "simulate --workload qwen2-0.5b --engine small --context 128 --memory stalling:7",
    "simulate-small": _SMALL,
    "simulate-small-prefill": f"{_SMALL} --program prefill --memory stalling",
    "simulate-small-w8": f"{_SMALL} --format w8 --head w8 --set tile.tokens=2",
    "compile-llama": "compile --workload llama-2-7b --engine u280 --context 2048 -o {out}/llama",
    "compile-small": "compile --workload smollm2-135m --engine small --context 256 --format w4 --cache kv8 -o {out}/small",
    "compile-graph": "compile --workload smollm2-135m --context 256 --dump-after quantize",
    "compile-first-graph": "compile --workload qwen2-0.5b --context 64 --dump-after frontend",
    "simulate-programs": "simulate {out}/small --program decode --position 17",
    "disasm-word": "disasm 0xb7000000000000000000000000000012",
    "disasm-program": "disasm {out}/small/prefill.program",
    "rtl-tiny": "rtl --engine tiny -o {out}/tiny",
    "compress": "compress {made}/hf --recipe {made}/recipe.yaml -o {out}/model",
    "evaluate": f"{_EVALUATE} --layers --stream 512 --passkey 300",
    "export": "export {made}/model -o {out}/exported",
    "compile-model": "compile {made}/model --engine tiny -o {out}/programs",
    "simulate-model": "simulate {made}/model --engine tiny --memory hbm2",
    "generate": "generate {made}/model hello --raw --max-tokens 5 --temperature 0.7 --seed 3",
    "validate-energy": "validate energy",
    "validate-offload": "validate offload",
    "offload-compare": "offload compare --model llama-2-13b --prompt 32768 --batch 4",
    "offload-compare-two": "offload compare gpu-a100 fpga-u280:w2a8kv4:2048 --model llama-2-7b",
    "offload-search": "offload search flexgen-t4 --model opt-30b --prompt 512 --generate 32",
    "offload-set": f"{_INSTINFER} --set csds=2",
    "offload-format": "offload run fpga-u280:w2a8kv4:2048 --prompt 8192",
    "offload-ways": "offload run gpu-a100:w4 --set gpus=3 --set gpu.memory_rate='1.5 TB/s' --batch 6",
    "offload-over": "offload run gpu-a100:w4a8kv4 --model opt-175b --batch 16",
    **{f"offload-{name}": f"offload run {name}" for name in SYSTEMS},
}
"""Arguments by the name of the file; `{made}` is a folder with a tiny model, `{out}` one that earlier calls have written into."""
