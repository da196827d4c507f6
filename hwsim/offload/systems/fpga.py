"""An FPGA card that holds everything in its memory: weights stream past multipliers once a pass, whatever the batch."""

import dataclasses

import numpy as np

from hwsim.arch.workload import Workload
from hwsim.offload.answer import Answer, Part, Tier
from hwsim.offload.devices import Card, Host
from hwsim.offload.span import Span, overlapped, repeated, serial, spend
from hwsim.offload.systems.system import Devices, System, part_of
from hwsim.units import Bytes, BytesPerSecond, Operations, Value

__all__ = ["ENGINE", "HBM", "Fpga"]

ENGINE, HBM = "engine", "HBM"
"""Causes to which time is charged."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fpga(System):
    """Cards that share every matrix and every head, and their host."""

    card: Card
    cards: Devices = 1
    host: Host

    def answer(self, work: Workload) -> Answer:
        work.network.check_shared(self.cards)
        layers = work.network.layers
        prompt = np.multiply(work.batch, work.prompt)
        keys = work.prompt_context
        prefill = serial(
            repeated(self._layer(work, prompt, work.layer_bytes, work.attention_operations(work.prompt, keys), keys), layers),
            self._head(work),
        )
        attended = work.attention_operations(1, work.step_context)
        step = serial(
            repeated(self._layer(work, work.batch, work.layer_bytes, attended, work.step_context), layers), self._head(work)
        )
        used = work.weight_bytes + work.cache_bytes(work.cached(work.tokens)) * layers
        tiers = (Tier(name="card memory", used=used, capacity=self.card.memory.value * float(self.cards)),)
        card = Part(device=self.card, count=self.cards, power=self.card.power, causes=(ENGINE, HBM))
        return self.answered(work, prefill, step, tiers, (card, part_of(self.host)))

    def _layer(self, work: Workload, rows: Value, weights: Bytes, attention: Operations, keys: Value) -> Span:
        """Return the time of a layer for so many tokens in all: passes over weights and cache, beside their arithmetic."""
        passes = np.ceil(np.divide(rows, self.card.rows.value))
        operations = Operations(np.multiply(2.0 * work.network.layer_weights, rows)) + attention
        cached = work.cache_bytes(keys) * np.maximum(1.0, passes / np.asarray(work.batch))
        streaming = spend(HBM, (weights * passes + cached) / self._rate)
        computing = spend(ENGINE, operations / (self.card.peak.value * self.cards))
        return serial(overlapped(streaming, computing), spend(ENGINE, self.card.token_cost.value * rows))

    def _head(self, work: Workload) -> Span:
        amount = Bytes(work.network.head_weights * work.weight_bits / 8)
        return spend(HBM, amount * np.ceil(np.divide(work.batch, self.card.rows.value)) / self._rate)

    @property
    def _rate(self) -> BytesPerSecond:
        return self.card.memory_rate.value * (self.card.memory_share.value * self.cards)
