"""Every compression method by the name that recipes use."""

from models.compress.balance_keys import BalanceKeys
from models.compress.distill import Distill
from models.compress.gptq import Gptq
from models.compress.keep import Keep
from models.compress.magnitude import Magnitude
from models.compress.method import Method
from models.compress.rotate_values import RotateValues
from models.compress.rtn import Rtn
from models.compress.smooth import Smooth
from models.compress.sparsegpt import SparseGpt
from models.compress.wanda import Wanda
from models.recipes.options import OPTIONS, NoOptions

__all__ = ["METHODS", "name_of"]

METHODS: dict[str, type[Method]] = {
    "balance_keys": BalanceKeys,
    "rotate_values": RotateValues,
    "smooth": Smooth,
    "magnitude": Magnitude,
    "wanda": Wanda,
    "sparsegpt": SparseGpt,
    "rtn": Rtn,
    "gptq": Gptq,
    "keep": Keep,
    "distill": Distill,
}
"""What models.recipes.options says of each is what its class takes."""

_TAKING = {name for name, kind in METHODS.items() if issubclass(kind, OPTIONS.get(name, Method)) or OPTIONS[name] is NoOptions}
_WRONG = sorted((METHODS.keys() | OPTIONS.keys()) - (_TAKING & OPTIONS.keys()))
if _WRONG:
    places = "METHODS of models/compress/methods.py and in OPTIONS of models/recipes/options.py"
    raise AssertionError(f"Method {_WRONG[0]} must be in {places}, and take what stands there")


def name_of(method: Method) -> str:
    """Return the name of a method."""
    return next(name for name, kind in METHODS.items() if kind is type(method))
