"""`lamforge.distill`: the stages that teach a float model to be an integer one, each a function, and the folder between them."""

from lamforge.flow.distill.export import export
from lamforge.flow.distill.merge import merge
from lamforge.flow.distill.prepare import prepare
from lamforge.flow.distill.probe import probe
from lamforge.flow.distill.sample import sample
from lamforge.flow.distill.train import train

__all__ = ["export", "merge", "prepare", "probe", "sample", "train"]
