"""Estimates of published systems and devices on a workload: one system, several beside one another, the best placement."""

from lamforge.flow.offload.compare import CompareRequest
from lamforge.flow.offload.compare import run as _compare
from lamforge.flow.offload.list import list
from lamforge.flow.offload.run import RunRequest
from lamforge.flow.offload.run import run as _run
from lamforge.flow.offload.search import SearchRequest
from lamforge.flow.offload.search import run as _search
from lamforge.flow.verb import verb

__all__ = ["compare", "list", "run", "search"]

run = verb("offload.run", RunRequest, _run)
compare = verb("offload.compare", CompareRequest, _compare)
search = verb("offload.search", SearchRequest, _search)
