"""The AXI4-Lite slave of the engine: the register map of hwsim.arch.registers, controlled as Vitis kernels are.

`ap_start` stays set until the run is done; `ap_done` and `ap_ready` are cleared by reading the control register; a
bit of the interrupt status is set by its event when enabled and toggles when one is written. auto_restart is not
offered: the bit is ignored and reads zero.
"""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import CONTROL_REGISTERS, Identity, offset_of, port_base_offset
from rtl.copies import copies
from rtl.interfaces import ADDRESS_BITS

__all__ = ["CONTROL_ADDRESS_BITS", "ControlRegisters", "axi_lite_members"]

CONTROL_ADDRESS_BITS = 12
_PART_BITS = 4
_PART_WORDS = 1 << _PART_BITS
"""Words of the map that are looked through at once when one is read."""

_SPECIAL = ("control", "global_interrupt", "interrupt_enable", "interrupt_status")


def axi_lite_members(prefix: str = "") -> dict:
    """Return the members of a slave port with 32-bit data, seen from the slave."""
    members = {
        "awaddr": In(CONTROL_ADDRESS_BITS),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(32),
        "wstrb": In(4),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(2),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(CONTROL_ADDRESS_BITS),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(32),
        "rresp": Out(2),
        "rvalid": Out(1),
        "rready": In(1),
    }
    return {prefix + name: member for name, member in members.items()}


class ControlRegisters(wiring.Component):
    """The registers: arguments go out, `done` (a pulse), `idle`, `error` and `cycles` come in.

    `start` is `ap_start`; `interrupt` is up while an enabled event is unacknowledged.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        self.arguments = {
            register.name: register.width for register in CONTROL_REGISTERS if register.writable and register.name not in _SPECIAL
        }
        super().__init__(
            {
                **axi_lite_members(),
                **{name: Out(width) for name, width in self.arguments.items()},
                "bases": Out(data.ArrayLayout(ADDRESS_BITS, config.tile.ports)),
                "start": Out(1),
                "done": In(1),
                "idle": In(1),
                "error": In(32),
                "cycles": In(64),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        identity = Identity.of(self.config)
        done, ready, interrupt_on = (Signal(name=name) for name in ("done", "ready", "interrupt_on"))
        enable, status = (Signal(2, name=name) for name in ("enable", "status"))
        m.d.comb += self.interrupt.eq(interrupt_on & status.any())

        # The 32-bit words of the map: what each reads, and the storage of those that can be written.
        readable = {
            offset_of("control"): Cat(self.start, done, self.idle, ready),
            offset_of("global_interrupt"): interrupt_on,
            offset_of("interrupt_enable"): enable,
            offset_of("interrupt_status"): status,
        }
        values = {
            "error": self.error,
            "cycles": self.cycles,
            "isa_digest": Const(identity.isa_word, 32),
            "engine_digest": Const(identity.engine_word, 32),
        }
        writable = {}
        for register in CONTROL_REGISTERS:
            if register.name in _SPECIAL:
                continue
            value = getattr(self, register.name) if register.name in self.arguments else values[register.name]
            _place(readable, register.offset, value, register.width)
            if register.writable:
                _place(writable, register.offset, value, register.width)
        for port in range(self.config.tile.ports):
            _place(readable, port_base_offset(port), self.bases[port], ADDRESS_BITS)
            _place(writable, port_base_offset(port), self.bases[port], ADDRESS_BITS)

        write_word = Signal(CONTROL_ADDRESS_BITS - 2)
        write = Signal()
        read = Signal()

        # One transfer at a time; no ready depends on a valid of the same cycle.
        with m.FSM(name="writing"):
            with m.State("ADDRESS"):
                m.d.comb += self.awready.eq(1)
                m.d.sync += write_word.eq(self.awaddr[2:])
                with m.If(self.awvalid):
                    m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += [self.wready.eq(1), write.eq(self.wvalid)]
                with m.If(self.wvalid):
                    m.next = "RESPONSE"
            with m.State("RESPONSE"):
                m.d.comb += self.bvalid.eq(1)
                with m.If(self.bready):
                    m.next = "ADDRESS"
        # A read finds its word in two steps: in each part of the map, then the part.
        read_word = Signal(CONTROL_ADDRESS_BITS - 2)
        words = {offset // 4: value for offset, value in readable.items()}
        parts = sorted({word // _PART_WORDS for word in words})
        found = {part: Signal(32, name=f"part_{part}") for part in parts}
        for part, value in found.items():
            (address,) = copies(m, self.araddr[2:], 1, f"address_{part}")
            with m.Switch(address[:_PART_BITS]):
                for place in range(_PART_WORDS):
                    with m.Case(place):
                        m.d.sync += value.eq(words.get(part * _PART_WORDS + place, 0))
        with m.FSM(name="reading"):
            with m.State("ADDRESS"):
                m.d.comb += self.arready.eq(1)
                m.d.sync += read_word.eq(self.araddr[2:])
                with m.If(self.arvalid):
                    m.next = "PART"
            with m.State("PART"):
                m.d.comb += read.eq(1)
                m.next = "WORD"
            with m.State("WORD"):
                m.d.sync += self.rdata.eq(0)
                with m.Switch(read_word[_PART_BITS:]):
                    for part, value in found.items():
                        with m.Case(part):
                            m.d.sync += self.rdata.eq(value)
                m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += self.rvalid.eq(1)
                with m.If(self.rready):
                    m.next = "ADDRESS"

        with m.If(read & (read_word == offset_of("control") // 4)):
            m.d.sync += [done.eq(0), ready.eq(0)]
        with m.If(self.done):
            m.d.sync += [done.eq(1), ready.eq(1), self.start.eq(0), status.eq(status | enable)]
        with m.If(write):
            with m.Switch(write_word):
                with m.Case(offset_of("control") // 4):
                    with m.If(self.wstrb[0] & self.wdata[0]):
                        m.d.sync += self.start.eq(1)
                with m.Case(offset_of("global_interrupt") // 4):
                    with m.If(self.wstrb[0]):
                        m.d.sync += interrupt_on.eq(self.wdata[0])
                with m.Case(offset_of("interrupt_enable") // 4):
                    with m.If(self.wstrb[0]):
                        m.d.sync += enable.eq(self.wdata[:2])
                with m.Case(offset_of("interrupt_status") // 4):
                    # An event wins over an acknowledgement in the same cycle.
                    with m.If(self.wstrb[0] & ~self.done):
                        m.d.sync += status.eq(status ^ self.wdata[:2])
                for offset, storage in writable.items():
                    with m.Case(offset // 4):
                        for byte in range(4):
                            with m.If(self.wstrb[byte]):
                                m.d.sync += storage[8 * byte : 8 * byte + 8].eq(self.wdata[8 * byte : 8 * byte + 8])
        return m


def _place(words: dict, offset: int, value, width: int) -> None:
    """Add the 32-bit words of a register to a map from byte offsets."""
    for low in range(0, width, 32):
        words[offset + low // 8] = value[low : low + 32]
