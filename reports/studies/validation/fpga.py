"""Set `fpga-decode`: what FPGA cards were published to decode, Llama-2-7B at batch 1."""

from collections.abc import Iterator

from hwsim.arch.workload import Workload
from lamforge.flow.offload.contender import contender
from models.zoo import network
from reports.studies.validation.row import Row, ValidationSet

__all__ = ["FPGA_DECODE"]

_MEASURED = "FlightLLM's released bitstream, re-measured on a U280"

# Contender, cached tokens, token/s, source.
_ROWS = (
    ("fpga-flightllm:flightllm", 128, 57.1, _MEASURED),
    ("fpga-flightllm:flightllm", 512, 52.7, _MEASURED),
    ("fpga-accllm:w2a8kv4:2048", 2048, 164.0, "arXiv 2505.03745, table VII; simulated, context not stated"),
)


def _rows() -> Iterator[Row]:
    for name, cached, published, source in _ROWS:
        asked = Workload(network=network("llama-2-7b"), prompt=cached - 0.5, generated=1.0, batch=1.0)
        answer = contender(name).answer(asked)
        case, ours = f"{name}, Llama-2-7B, {cached} tokens cached", float(answer.decode_tokens_per_second)
        yield Row.of(answer, case=case, unit="token/s", published=published, ours=ours, source=source)


FPGA_DECODE = ValidationSet(name="fpga-decode", title="FlightLLM and AccLLM on an Alveo U280", compute=_rows)
