"""HBM2 channels stepped clock by clock as a controller would: the oracle of the closed law in hwsim.memory."""

from collections import deque

__all__ = ["SlowChannel", "SlowHbm2Port", "SlowSideChannel", "slow_hbm2_ports"]


class Access:
    """Part of a burst that one page holds."""

    def __init__(self, visible, atom, atoms, is_write=False, word=None):
        self.visible, self.atom, self.atoms, self.is_write = visible, atom, atoms, is_write
        self.word = word
        self.columns = []  # clock of each column command


class SlowChannel:
    """Open pages. `step` plays one memory clock: refresh, column commands, row commands, in this order."""

    def __init__(self, parameters, due):
        self.p, self.due, self.now = parameters, due, -1
        self.waiting, self.current, self.before = deque(), None, None
        self.rows, self.opened, self.used = {}, {}, {}
        self.activates = []  # (clock, group)
        self.refreshing_until, self.is_refresh_wanted, self.closed_at = 0, False, None
        self.to_close, self.to_open = [], {}

    def read(self, visible, atom, atoms):
        """Queue an access and return it."""
        access = Access(visible, atom, atoms)
        self.waiting.append(access)
        return access

    def run_until(self, clock):
        """Play all clocks up to and with `clock`."""
        while self.now < clock:
            self.now += 1
            self.step(self.now)

    def place(self, atom):
        """Return (group, bank, row) of an atom."""
        p = self.p
        low, rest = atom % 2, atom // 2
        rest //= p.row_bytes // p.atom_bytes
        in_group, rest = rest % p.banks_per_group, rest // p.banks_per_group
        high, row = rest % (p.bank_groups // 2), rest // (p.bank_groups // 2)
        group = 2 * high + low
        return group, (group, in_group), row

    def last_column(self):
        """Return the clock of the last column command that is or will be given, and its group."""
        if self.before is None:
            return None
        first = self.before.columns[0]
        return first + (self.before.atoms - 1) * self.p.t_ccd_s

    def step(self, t):
        p = self.p
        if t < self.refreshing_until:
            return
        # Column commands of the access that has begun go on by themselves.
        for access in (self.before, self.current):
            if access and access.columns and len(access.columns) < access.atoms and t == access.columns[-1] + p.t_ccd_s:
                self.column(access, t)
        # An access may be taken in the clock in which the one before it starts.
        while True:
            if not self.is_refresh_wanted and (self.current is None or self.current.columns):
                self.decide(t)
            if self.is_refresh_wanted:
                self.refresh(t)
                return
            if self.current is None or self.current.columns:
                return
            self.row_commands(t)
            if not self.may_start(t):
                return
            self.column(self.current, t)

    def decide(self, t):
        """Take the next access, or want a refresh before it."""
        if self.current is not None:
            self.before, self.current = self.current, None
        ending = self.last_column()
        if self.waiting and self.waiting[0].visible <= t:
            turn = t if ending is None else max(t, ending + self.p.t_ccd_s)
            if self.due <= turn:
                self.is_refresh_wanted = True
            else:
                self.current = self.waiting.popleft()
        elif self.due <= t:
            self.is_refresh_wanted = True

    def refresh(self, t):
        """Close all rows once due and allowed, then refresh."""
        p, ending = self.p, self.last_column()
        if self.closed_at is None:
            if t < self.due or any(t < self.opened[b] + p.t_ras or t < self.used[b] + p.t_rtp for b in self.rows):
                return
            if ending is not None and self.before and len(self.before.columns) < self.before.atoms:
                return
            self.closed_at = t + p.t_rp if self.rows else t
            self.rows.clear()
        if t >= self.closed_at:
            self.refreshing_until = t + p.t_rfc
            self.due += p.t_refi
            self.is_refresh_wanted, self.closed_at = False, None

    def banks(self, access):
        """Return the banks an access needs, in order, with the row."""
        return [self.place(access.atom + turn) for turn in range(min(2, access.atoms))]

    def row_commands(self, t):
        """Precharge and activate what the next access needs; activates in order."""
        p = self.p
        is_in_turn = True
        for group, bank, row in self.banks(self.current):
            if self.rows.get(bank) == row:
                continue
            if bank in self.rows:
                # Precharges do not wait for each other.
                if t >= self.opened[bank] + p.t_ras and t >= self.used[bank] + p.t_rtp:
                    del self.rows[bank]
                    self.to_open[bank] = t + p.t_rp
                is_in_turn = False
                continue
            if is_in_turn and t >= self.to_open.get(bank, 0) and self.may_activate(t, group):
                self.rows[bank], self.opened[bank] = row, t
                self.used[bank] = -(10**9)
                self.activates.append((t, group))
            else:
                is_in_turn = False

    def may_activate(self, t, group):
        p = self.p
        if self.activates:
            when, last = self.activates[-1]
            if t < when + (p.t_rrd_l if last == group else p.t_rrd_s):
                return False
        return len(self.activates) < 4 or t >= self.activates[-4][0] + p.t_faw

    def may_start(self, t):
        """Whether the first column command may be given now, so that the others follow without a gap."""
        p = self.p
        for turn, (_, bank, row) in enumerate(self.banks(self.current)):
            if self.rows.get(bank) != row or t + turn * p.t_ccd_s < self.opened[bank] + p.t_rcd:
                return False
        if self.before is None:
            return True
        ending, group = self.last_column(), self.place(self.before.atom + self.before.atoms - 1)[0]
        is_near = group == self.place(self.current.atom)[0]
        return t >= ending + (p.t_ccd_l if is_near and p.t_ccd_l > p.t_ccd_s else p.t_ccd_s)

    def column(self, access, t):
        access.columns.append(t)
        _, bank, _ = self.place(access.atom + len(access.columns) - 1)
        # Both rows of a page stay in use until the last column command.
        for other in {entry[1] for entry in self.banks(access)}:
            self.used[other] = t
        assert bank in self.rows


class SlowSideChannel:
    """Each access activates one or two rows nobody else uses, but writes in a line share one; reads and writes turn the bus."""

    def __init__(self, parameters, due):
        self.p, self.due, self.now = parameters, due, -1
        self.waiting, self.current, self.before = deque(), None, None
        self.activates, self.opened = [], []
        self.idle_from, self.refreshing_until, self.is_refresh_wanted = 0, 0, False
        self.is_row_open = False

    def access(self, visible, atoms, is_write, word=None):
        """Queue an access and return it; its only entry of `columns` is that of its first command.

        `word` is the 16-byte word of the side memory that is written.
        """
        access = Access(visible, 0, atoms, is_write, word)
        self.waiting.append(access)
        return access

    def run_until(self, clock):
        """Play all clocks up to and with `clock`."""
        while self.now < clock:
            self.now += 1
            self.step(self.now)

    def is_in_line(self, access):
        """Whether an access writes on in the row that the one before left open."""
        before, words = self.before, 2 * self.p.row_bytes // 16
        if before is None or before.word is None or access.word is None or not self.is_row_open:
            return False
        return access.word == before.word + 1 and access.word // words == before.word // words

    def next_column(self, access):
        """Return the first clock in which an access may give its first column command, as far as the one before goes."""
        p, before = self.p, self.before
        if before is None:
            return 0
        ending = before.columns[0] + (before.atoms - 1) * p.t_ccd_s
        if before.is_write == access.is_write:
            return ending + (p.t_ccd_l if self.is_in_line(access) else p.t_ccd_s)
        if access.is_write:  # data of the read, turning, data of the write
            return ending + p.t_cl + p.t_ccd_s + p.t_turn - p.t_cwl
        return ending + p.t_cwl + p.t_ccd_s + p.t_wtr

    def step(self, t):
        p = self.p
        if t < self.refreshing_until:
            return
        if self.current is None and not self.is_refresh_wanted:
            if self.waiting and self.waiting[0].visible <= t:
                if self.due <= max(t, self.next_column(self.waiting[0])):
                    self.is_refresh_wanted = True
                else:
                    self.current = self.waiting.popleft()
                    if not self.is_in_line(self.current):
                        self.opened = []
            elif self.due <= t:
                self.is_refresh_wanted = True
        if self.is_refresh_wanted:
            if t >= self.due and t >= self.idle_from:
                self.refreshing_until, self.is_refresh_wanted = t + p.t_rfc, False
                self.due += p.t_refi
                self.is_row_open = False
            return
        if self.current is None:
            return
        current = self.current
        if len(self.opened) < min(2, current.atoms):
            is_apart = not self.activates or t >= self.activates[-1] + p.t_rrd_s
            if is_apart and (len(self.activates) < 4 or t >= self.activates[-4] + p.t_faw):
                self.activates.append(t)
                self.opened.append(t)
        is_open = len(self.opened) == min(2, current.atoms)
        if (
            is_open
            and all(t + turn * p.t_ccd_s >= when + p.t_rcd for turn, when in enumerate(self.opened))
            and t >= self.next_column(current)
        ):
            current.columns.append(t)
            ending = t + (current.atoms - 1) * p.t_ccd_s
            closing = ending + p.t_cwl + p.t_ccd_s + p.t_wr if current.is_write else ending + p.t_rtp
            self.idle_from = max(self.idle_from, max(closing, self.opened[-1] + p.t_ras) + p.t_rp)
            self.before, self.current, self.is_row_open = current, None, True
            # The next access may be taken in the clock in which this one starts.
            if self.waiting and self.waiting[0].visible <= t:
                self.step(t)


class SlowHbm2Port:
    """A channel behind an AXI port, stepped once an engine cycle: clocks of memory and engine meet in whole numbers."""

    def __init__(self, number, config, parameters, seed):
        self.p, self.engine_hz = parameters, int(config.clock_hz)
        self.beat_bytes = config.tile.port_bytes
        self.is_side = number == config.tile.ports
        due = ((number + 1) * self.p.t_refi // (config.tile.ports + 1) + seed) % self.p.t_refi
        self.channel = (SlowSideChannel if self.is_side else SlowChannel)(parameters, due)
        self.beats, self.answers = deque(), deque()

    def is_open(self, channel, cycle):
        return channel in (0, 2, 3)

    def visible(self, cycle):
        """Return the clock from which the controller knows of what was accepted in a cycle."""
        clock = cycle * self.p.clock_hz // self.engine_hz
        while clock * self.engine_hz < cycle * self.p.clock_hz:
            clock += 1
        return clock + self.p.request

    def accept_read(self, cycle, beats, offset):
        atom, page = self.p.atom_bytes, 2 * self.p.row_bytes
        if self.is_side:
            access = self.channel.access(self.visible(cycle), (16 * beats + atom - 1) // atom, False)
            self.beats.extend((access, 16 * beat // atom) for beat in range(beats))
            return
        access, pieces = None, []
        for beat in range(offset, offset + beats):
            first, last = beat * self.beat_bytes, (beat + 1) * self.beat_bytes - 1
            if not pieces or first % page == 0:
                pieces.append([])
            pieces[-1].append((first // atom, last // atom))
        for piece in pieces:
            start = piece[0][0]
            access = self.channel.read(self.visible(cycle), start, piece[-1][1] - start + 1)
            self.beats.extend((access, last - start) for _, last in piece)

    def accept_write(self, cycle, word):
        self.answers.append(self.channel.access(self.visible(cycle), 1, True, word))

    def has_come(self, cycle, access, atom, latency):
        """Whether the atom of an access has been transferred, and its reply has come, by a cycle."""
        self.channel.run_until(cycle * self.p.clock_hz // self.engine_hz)
        if not access.columns:
            return False
        clock = access.columns[0] + (atom + 1) * self.p.t_ccd_s + latency + self.p.reply
        return clock * self.engine_hz <= cycle * self.p.clock_hz

    def delivers_beat(self, cycle):
        if self.beats and self.has_come(cycle, *self.beats[0], self.p.t_cl):
            self.beats.popleft()
            return True
        return False

    def answers_write(self, cycle):
        if self.answers and self.has_come(cycle, self.answers[0], 0, self.p.t_cwl):
            self.answers.popleft()
            return True
        return False


def slow_hbm2_ports(config, parameters, seed):
    """Return the memories behind all ports of an engine, the side port's last."""
    return [SlowHbm2Port(number, config, parameters, seed) for number in range(config.tile.ports + 1)]
