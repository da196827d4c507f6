"""The timing contract of docs/engine.md played cycle by cycle in plain Python: the oracle of the time model."""

from collections import deque

from hwsim.arch import timing
from hwsim.arch.fields import Unit
from hwsim.arch.isa import Append, Axpy, Dot, End, Format, Function, KvQuant, Load, Loop, Norm, Scalar, Softmax, decode

MASK = 0xFFFFFFFF


def slow_gap(seed, port, channel, cycle):
    """Section 7, written again."""
    x = (cycle * 0x9E3779B1) % 2**32 ^ ((seed + port * 8 + channel) * 0x85EBCA77) % 2**32
    x = x ^ (x >> 15)
    x = x * 0x2C1B3C6D % 2**32
    x = x ^ (x >> 12)
    x = x * 0x297A2D39 % 2**32
    x = x ^ (x >> 15)
    return x % 256 < timing.STALL_RATE


class Port:
    """The memory behind one AXI port, stepped once a cycle."""

    def __init__(self, number, seed):
        self.number, self.seed = number, seed
        self.beats, self.answers = deque(), deque()

    def is_open(self, channel, cycle):
        return self.seed is None or not slow_gap(self.seed, self.number, channel, cycle)

    def accept_read(self, cycle, beats, offset):
        self.beats.extend([cycle + timing.READ_LATENCY] * beats)

    def accept_write(self, cycle, word):
        self.answers.append(cycle + timing.WRITE_LATENCY)

    def delivers_beat(self, cycle):
        if self.beats and self.beats[0] <= cycle and self.is_open(1, cycle):
            self.beats.popleft()
            return True
        return False

    def answers_write(self, cycle):
        if self.answers and self.answers[0] <= cycle and self.is_open(4, cycle):
            self.answers.popleft()
            return True
        return False


class Reader:
    """The side reader: bursts of 64 beats."""

    def __init__(self, port, start, beats):
        self.port, self.first, self.unasked, self.missing = port, start + 1, beats, beats

    def step(self, cycle):
        """Return whether the last beat came in this cycle."""
        if cycle >= self.first and self.unasked and self.port.is_open(0, cycle):
            burst = min(self.unasked, timing.SIDE_BURST_BEATS)
            self.port.accept_read(cycle, burst, 0)
            self.unasked -= burst
        if self.port.delivers_beat(cycle):
            self.missing -= 1
            return self.missing == 0
        return False


class Writer:
    """The side writer: one beat at a time, to words from `word` on or, without one, elsewhere."""

    def __init__(self, port, issue, beats, word=None):
        self.word = word
        self.port, self.rise, self.left = port, issue + 1 + timing.WRITE_LEAD, beats
        self.address_done = self.data_done = False

    def step(self, cycle):
        """Return whether the last beat was accepted in this cycle."""
        if self.left and cycle >= self.rise:
            self.address_done = self.address_done or self.port.is_open(2, cycle)
            self.data_done = self.data_done or self.port.is_open(3, cycle)
            if self.address_done and self.data_done:
                self.port.accept_write(cycle, self.word)
                self.word = None if self.word is None else self.word + 1
                self.address_done = self.data_done = False
                self.left -= 1
                return self.left == 0
        return False


def block_beats(instruction, block):
    """Return, for each beat of a row block, how many cycles it takes."""
    inner, kind = instruction.inner, instruction.format
    beats = [1] if block % (2 if kind in (Format.KV4, Format.KV8) else 4) == 0 else []
    if kind in (Format.KV4, Format.KV8):
        return beats + [1] * (2 * inner if kind == Format.KV8 else inner)
    if kind == Format.W2S:
        return beats + [1] * (inner // 2)
    groups = inner // 2 if kind == Format.W2 else inner
    data = {Format.W4: [1], Format.W8: [1, 1], Format.W2: [2]}[kind]
    for group in range(groups):
        if group % 8 == 0:
            beats.append(1)
        beats += data
    return beats


class SlowMachine:
    """Runs a program to its end; `log` holds every unit instruction in order: word, pc, and cycles of dispatch, issue, release,
    retire; of a matrix instruction also how many cycles a beat was missing (memory) or held by the words of a capture (drain).

    `ports` are the memories behind the ports, the side port's last; by default with the gaps of `seed`, if there is one.
    """

    def __init__(self, words, config, seed=None, position=0, slot=0, limit=200_000, ports=None):
        self.words, self.config, self.limit = words, config, limit
        tile = config.tile
        *self.ports, self.side = ports or [Port(p, seed) for p in range(tile.ports + 1)]
        self.registers = [0] * 16
        self.registers[1], self.registers[2] = position, slot
        self.loops, self.pc = [], 0
        self.queues = [deque() for _ in Unit]
        self.tokens = [[0] * 4 for _ in Unit]
        self.running = [None] * 4
        self.free_from = [0] * 4
        self.log = []
        self.program = Reader(self.side, -1, len(words))
        self.execute_from = None
        # Port readers and FIFOs.
        self.remaining, self.offset = [0] * tile.ports, [0] * tile.ports
        self.credit = [config.fetch.fifo_beats] * tile.ports
        self.fifos = [deque() for _ in range(tile.ports)]
        # Matrix.
        self.captured_at, self.drain_length = -(10**9), 0
        self.beats, self.second_half = deque(), False
        self.retiring = []
        # Vector: rows before, in, between and after the two passes; words in the temporary memory.
        self.pending, self.measured, self.landing = deque(), deque(), deque()
        self.row = self.coding = None
        self.first_left = self.held = 0
        # Writes whose responses are not all there: [entry, responses missing, cycle of the last].
        self.writing = deque()
        self.mover = None

    def run(self):
        """Return the run's cycles."""
        for cycle in range(self.limit):
            if self.step(cycle):
                return cycle + 1
        return None

    def step(self, cycle):
        """Play one cycle; return whether End executed in it."""
        retired, popped, pushed, taken = [], [], [], []
        if self.program is not None:
            if self.program.step(cycle):
                self.program, self.execute_from = None, cycle + 3
            return False
        # What is seen in this cycle, before anything changes.
        levels = [len(queue) for queue in self.queues]
        heads = [queue[0] if queue else None for queue in self.queues]
        idle = not any(levels) and all(unit is None for unit in self.running) and not self.retiring
        idle = idle and not self.writing
        idle = idle and not (self.row or self.measured or self.landing or self.coding)
        issued = [None] * 4
        for unit in range(4):
            head = heads[unit]
            if head is None or self.running[unit] is not None or cycle < self.free_from[unit]:
                continue
            needs = [other for other in range(4) if head["word"].wait >> other & 1]
            if unit == 3 and len(self.writing) >= (1 if isinstance(head["word"], Load) else timing.MOVER_WRITES):
                continue
            if all(self.tokens[other][unit] for other in needs):
                issued[unit] = head
                popped.append(unit)
                taken += [(other, unit) for other in needs]
        self.fetch(cycle, issued[0], retired)
        self.matrix(cycle, issued[1])
        self.vector(cycle, issued[2], retired)
        self.move(cycle, issued[3], retired)
        for entry in [entry for entry in self.retiring if entry["retire"] == cycle]:
            self.retiring.remove(entry)
            retired.append(entry)
        ended = self.control(cycle, levels, idle, pushed)
        for unit in popped:
            self.queues[unit].popleft()["issue"] = cycle
        for other, unit in taken:
            self.tokens[other][unit] -= 1
        for entry in retired:
            entry["retire"] = cycle
            own = int(entry["word"].unit)
            for other in range(4):
                if entry["word"].signal >> other & 1:
                    self.tokens[own][other] += 1
                    assert self.tokens[own][other] <= 63, "token overflow"
        for entry in pushed:
            self.queues[int(entry["word"].unit)].append(entry)
        return ended

    def control(self, cycle, levels, idle, pushed):
        """Execute at most one instruction."""
        if cycle < self.execute_from:
            return False
        word, at = decode(self.words[self.pc]), self.pc
        a, b, _ = (self.registers[number] for number in word.registers)
        if isinstance(word, End):
            return idle
        self.pc += 1
        if isinstance(word, Scalar):
            self.scalar(word, a, (b + word.immediate) & MASK)
        elif isinstance(word, Loop):
            self.loops.append([self.pc, at + word.length, word.count])
        else:
            if levels[int(word.unit)] >= self.config.control.queue_depth:
                self.pc = at
                return False
            entry = {"word": word, "pc": at, "dispatch": cycle, "operand": [self.registers[n] for n in word.registers]}
            self.log.append(entry)
            pushed.append(entry)
        is_end = bool(self.loops) and at == self.loops[-1][1] and not isinstance(word, Loop)
        self.execute_from = cycle + (3 if isinstance(word, Scalar | Loop) or is_end else 1)
        if is_end and at == self.loops[-1][1]:
            self.loops[-1][2] -= 1
            if self.loops[-1][2]:
                self.pc = self.loops[-1][0]
            else:
                self.loops.pop()
        return False

    def scalar(self, word, a, b):
        """Set the target register."""

        def signed(x):
            return x - 2**32 if x >= 2**31 else x

        value = {
            Function.ADD: a + b,
            Function.SUB: a - b,
            Function.MIN: min(a, b, key=signed),
            Function.MAX: max(a, b, key=signed),
            Function.MUL: a * b,
            Function.SHR: a >> (b % 32),
            Function.WRAP: b if a == word.limit else a,
        }[word.function]
        if word.target:
            self.registers[word.target] = value & MASK

    @staticmethod
    def value(entry, name):
        """Return an operand field with its register."""
        slot = type(entry["word"]).field(name).register
        return (getattr(entry["word"], name) + entry["operand"][slot]) & MASK

    def free(self, unit, cycle):
        """Release a unit in a cycle."""
        self.running[unit]["release"] = cycle
        self.running[unit], self.free_from[unit] = None, cycle + 1

    def fetch(self, cycle, issued, retired):
        """Port readers: deliver beats, accept bursts."""
        for p, port in enumerate(self.ports):
            if port.delivers_beat(cycle):
                self.fifos[p].append(cycle + timing.FIFO_LATENCY)
        entry = self.running[0]
        if entry is not None:
            if not any(self.remaining):
                retired.append(entry)
                self.free(0, cycle)
            for p, port in enumerate(self.ports):
                burst_beats = self.config.fetch.burst_beats
                length = min(self.remaining[p], burst_beats - self.offset[p] % burst_beats)
                if length and self.credit[p] >= length and port.is_open(0, cycle):
                    port.accept_read(cycle, length, self.offset[p])
                    self.remaining[p] -= length
                    self.offset[p] += length
                    self.credit[p] -= length
        if issued is not None:
            self.running[0] = issued
            for p in range(len(self.ports)):
                self.remaining[p], self.offset[p] = self.value(issued, "beats"), self.value(issued, "offset")

    def matrix(self, cycle, issued):
        """Pop at most one beat of every port."""
        entry = self.running[1]
        if entry is not None:
            word = entry["word"]
            drain, memory = entry.setdefault("drain", 0), entry.setdefault("memory", 0)
            clear = self.captured_at + self.drain_length
            if self.second_half:
                self.second_half = False
                if self.beats.popleft()[1]:
                    self.capture(cycle, entry)
            elif not self.beats:
                entry["drain"] = drain + 1
                if cycle >= clear:
                    self.capture(cycle, entry)
            else:
                cost, is_last = self.beats[0]
                held = cycle + cost - 1 < clear if isinstance(word, Dot) and is_last else isinstance(word, Axpy) and cycle < clear
                if not all(fifo and fifo[0] <= cycle for fifo in self.fifos):
                    entry["memory"] = memory + 1
                elif held:
                    entry["drain"] = drain + 1
                else:
                    for p, fifo in enumerate(self.fifos):
                        fifo.popleft()
                        self.credit[p] += 1
                    if cost == 2:
                        self.second_half = True
                    else:
                        self.beats.popleft()
                        if is_last and (isinstance(word, Dot) or not self.beats):
                            self.capture(cycle, entry)
        if issued is not None:
            self.running[1] = issued
            word = issued["word"]
            if isinstance(word, Dot):
                blocks = [block_beats(word, b) for b in range(self.value(issued, "blocks"))]
                self.beats = deque((cost, i == len(block) - 1) for block in blocks for i, cost in enumerate(block))
            else:
                count = self.value(issued, "beats")
                self.beats = deque((1, i == count - 1) for i in range(count))

    def capture(self, cycle, entry):
        """Note a capture and, with the last, when the instruction retires."""
        word = entry["word"]
        if isinstance(word, Axpy):
            length = self.config.mixed_words * word.rows
        else:
            length = self.config.drain_words * word.rows if self.value(entry, "blocks") else 1
        self.captured_at, self.drain_length = cycle, length
        if not self.beats:
            entry["retire"] = cycle + length + timing.MATRIX_LATENCY + timing.EPILOGUE_LATENCY
            self.retiring.append(entry)
            self.free(1, cycle)

    def vector(self, cycle, issued, retired):
        """Play the two passes: a row in the first, rows that wait, a row in the second, rows that land."""
        if self.coding is not None:
            self.coding["left"] -= 1
            if self.coding["left"] == 0:
                self.held -= self.coding["words"]
                self.coding["retire"] = cycle + timing.CODE_LATENCY
                self.landing.append(self.coding)
                self.coding = None
        if self.coding is None and self.measured and self.measured[0]["code"] <= cycle:
            self.coding = self.measured.popleft()
        if self.landing and self.landing[0]["retire"] == cycle:
            row = self.landing.popleft()
            if row["is_last"]:
                retired.append(row["entry"])
        if self.first_left:
            self.first_left -= 1
        if self.first_left == 0 and self.row is not None:
            self.row["code"] = cycle + timing.MEASURE_LATENCY
            self.measured.append(self.row)
            self.row = None
        if self.row is None and self.pending:
            row = self.pending[0]
            in_flight = len(self.measured) + (self.coding is not None)
            if in_flight < timing.VECTOR_ROWS and self.held + row["words"] <= self.config.temporary_words:
                self.row, self.first_left = self.pending.popleft(), row["first"]
                self.held += row["words"]
        # Free in the row's last cycle, or, when it has but one, in the cycle after.
        if self.running[2] is not None and self.row is not None and self.first_left <= 2 and not self.pending:
            self.free(2, cycle)
        if issued is not None:
            word = issued["word"]
            if isinstance(word, Softmax):
                words = word.sink_words + self.value(issued, "ring_words")
                first = 2 * words + timing.PEAK_LATENCY
            else:
                words = word.length
                first = words + (1 if isinstance(word, Norm) else 0)
            rows = 1 if isinstance(word, KvQuant) else word.rows
            for number in range(rows):
                is_last = number == rows - 1
                self.pending.append({"entry": issued, "words": words, "first": first, "left": words, "is_last": is_last})
            self.running[2] = issued

    def move(self, cycle, issued, retired):
        """Step the reader or the writer, and the responses of the writes before."""
        if self.writing and self.writing[0][2] == cycle - 1:
            retired.append(self.writing.popleft()[0])
        if self.side.answers_write(cycle):
            first = next(write for write in self.writing if write[1])
            first[1] -= 1
            if first[1] == 0:
                first[2] = cycle
        entry = self.running[3]
        if entry is not None and isinstance(entry["word"], Load):
            if entry["last"] is None:
                if self.mover.step(cycle):
                    entry["last"] = cycle
            else:
                retired.append(entry)
                self.free(3, cycle)
        elif entry is not None and self.mover.step(cycle):
            self.free(3, cycle)
        if issued is not None:
            word = issued["word"]
            issued["last"] = None
            if isinstance(word, Load):
                self.mover = Reader(self.side, cycle, word.beats)
            elif isinstance(word, Append):
                self.mover = Writer(self.side, cycle, (1 << word.segments) + 1)
            else:
                self.mover = Writer(self.side, cycle, word.beats, self.value(issued, "offset"))
            if not isinstance(word, Load):
                self.writing.append([issued, self.mover.left, None])
            self.running[3] = issued


__all__ = ["SlowMachine", "slow_gap"]
