"""What a pass learns of all its values: the largest, the largest of the opposite sign, and a sum."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.vector.lane import ADDEND_BITS, KEY_BITS
from rtl.vector.reduce import maximum_tree, sum_tree
from rtl.vector.row_scales import SUM_BITS

__all__ = ["Statistics"]


class Statistics(wiring.Component):
    """Maxima of keys and opposites and the sum of addends over the words marked valid since the matching `begin`.

    A word counts `latency` + 1 cycles after it came. Maxima start from zero, or with `signed_maximum` the least score.
    """

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.maxima = {name: maximum_tree(count=lanes, shape=signed(KEY_BITS)) for name in ("largest", "opposite")}
        self.sum = sum_tree(count=lanes, shape=unsigned(ADDEND_BITS))
        self.latency = self.sum.latency
        super().__init__(
            {
                "begin_maxima": In(1),
                "begin_sum": In(1),
                "signed_maximum": In(1),
                "keys": In(data.ArrayLayout(signed(KEY_BITS), lanes)),
                "opposites": In(data.ArrayLayout(signed(KEY_BITS), lanes)),
                "keys_valid": In(1),
                "addends": In(data.ArrayLayout(unsigned(ADDEND_BITS), lanes)),
                "addends_valid": In(1),
                "largest": Out(signed(KEY_BITS)),
                "opposite": Out(signed(KEY_BITS)),
                "total": Out(SUM_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inputs = {"largest": self.keys, "opposite": self.opposites}
        keys_valid = self._delayed(m, "keys_valid", self.keys_valid)
        for name, tree in self.maxima.items():
            m.submodules[name] = tree
            found = getattr(self, name)
            m.d.comb += tree.inputs.eq(inputs[name])
            with m.If(self.begin_maxima):
                m.d.sync += found.eq(Mux(self.signed_maximum, -(1 << 31), 0))
            with m.Elif(keys_valid & (tree.result > found)):
                m.d.sync += found.eq(tree.result)

        m.submodules.sum = self.sum
        m.d.comb += self.sum.inputs.eq(self.addends)
        addends_valid = self._delayed(m, "addends_valid", self.addends_valid)
        with m.If(self.begin_sum):
            m.d.sync += self.total.eq(0)
        with m.Elif(addends_valid):
            m.d.sync += self.total.eq(self.total + self.sum.result)
        return m

    def _delayed(self, m: Module, name: str, valid: Value) -> Value:
        """Return `valid` as late as the trees are."""
        for stage in range(self.latency):
            held = Signal(name=f"{name}_{stage}")
            m.d.sync += held.eq(valid)
            valid = held
        return valid
