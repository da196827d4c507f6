"""The packer of every weight format."""

from hwsim.arch.complete import require_rows
from hwsim.arch.formats.base import WeightFormat
from hwsim.arch.formats.grouped import W2, W4, W8
from hwsim.arch.formats.w2s import W2S
from hwsim.arch.stream_sizes import Format

__all__ = ["WEIGHT_FORMATS"]

WEIGHT_FORMATS: dict[Format, WeightFormat] = {Format.W2: W2(), Format.W2S: W2S(), Format.W4: W4(), Format.W8: W8()}

require_rows(WEIGHT_FORMATS, [each for each in Format if each.cache is None], what="a packer", module=__name__)
