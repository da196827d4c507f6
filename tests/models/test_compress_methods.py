"""Compression methods against closed forms, brute force and PyTorch's own masks; what each leaves as it was."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch
from torch.ao.pruning import WeightNormSparsifier

from hwsim.arch.formats import WEIGHT_FORMATS, QuantizedMatrix, pack
from hwsim.arch.isa import CacheFormat, Format
from hwsim.arch.numerics import FRACTION_BITS, to_fixed
from hwsim.errors import SpecError
from models.attention import parse
from models.checkpoint import AffineBlocks
from models.compress import gptq, rtn
from models.compress.balance_keys import BalanceKeys
from models.compress.calibrate import rounded_activations, rounded_cache
from models.compress.gptq import DAMPING, Gptq
from models.compress.grid import Columns
from models.compress.keep import Keep
from models.compress.layer import Layer, Linear
from models.compress.magnitude import Magnitude
from models.compress.method import Context, Pruning
from models.compress.rotate_values import RotateValues, hadamard
from models.compress.rtn import Rtn
from models.compress.smooth import Smooth
from models.compress.sparsegpt import SparseGpt
from models.compress.wanda import Wanda
from models.integer import ops
from models.matrices import ATTENTION_NORM, FFN_NORM, KEY_NORM, QUERY_NORM
from models.reference.llama import Llama, rms_norm
from tests.models.tiny import SEED, tiny_checkpoint

PRUNINGS: tuple[Pruning, ...] = (Magnitude(), Wanda(), SparseGpt())


def random(*shape: int, seed: int = SEED) -> torch.Tensor:
    print(f"seed {seed}")
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def correlated(inputs: int, tokens: int = 400, seed: int = SEED) -> torch.Tensor:
    """Return the hessian of inputs that go together."""
    shown = random(tokens, inputs // 2, seed=seed) @ random(inputs // 2, inputs, seed=seed + 1) + 0.3 * random(tokens, inputs)
    return shown.T @ shown


def error(difference: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """Return the squared output error of each row."""
    return ((difference.double() @ hessian.double()) * difference.double()).sum(1)


@pytest.mark.parametrize("method", PRUNINGS)
def test_exactly_two_of_four_are_kept(method: Pruning) -> None:
    weight = random(24, 64)
    weight[3] = 0.0
    pruned, kept = method.pruned(weight, correlated(64))
    assert bool((kept.view(24, 16, 4).sum(-1) == 2).all())
    assert not pruned[~kept].any()
    assert torch.isfinite(pruned).all()


def test_magnitude_masks_are_those_of_torch() -> None:
    layer = torch.nn.Linear(64, 24, bias=False)
    layer.weight.data = random(24, 64)
    sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    model = torch.nn.Sequential(layer)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    weight = model[0].parametrizations.weight.original.detach().clone()
    sparsifier.step()
    pruned, kept = Magnitude().pruned(weight, None)
    assert torch.equal(kept, model[0].parametrizations.weight[0].mask.bool())
    assert torch.equal(pruned, model[0].weight.detach())


def test_wanda_is_best_for_inputs_that_do_not_go_together() -> None:
    weight, hessian = random(50, 4), torch.diag(torch.tensor([0.1, 4.0, 1.0, 9.0]))
    _, kept = Wanda().pruned(weight, hessian)
    costs = torch.stack([error(torch.where(mask, 0.0, weight), hessian) for mask in masks()])
    assert torch.equal(kept, torch.stack(masks())[costs.argmin(0)])
    assert not torch.equal(kept, Magnitude().pruned(weight, None)[1])


def masks() -> list[torch.Tensor]:
    """Return the six ways to keep two of four."""
    return [torch.tensor([index in pair for index in range(4)]) for pair in itertools.combinations(range(4), 2)]


def least_squares(weight: torch.Tensor, kept: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """Return the weights on a mask whose outputs are nearest to those of `weight`."""
    chosen, best = kept.nonzero()[:, 0], torch.zeros_like(weight)
    best[:, chosen] = torch.linalg.solve(hessian[chosen][:, chosen], hessian[chosen] @ weight.T).T
    return best


def test_sparsegpt_is_brute_force_on_four_columns() -> None:
    weight = random(60, 4).double()
    hessian = correlated(4).double()
    damped = hessian + DAMPING * hessian.diagonal().mean() * torch.eye(4)
    tried = torch.stack([least_squares(weight, mask, damped) for mask in masks()])
    costs = torch.stack([error(each - weight, damped) for each in tried])
    best = costs.argmin(0)
    pruned, kept = SparseGpt().pruned(weight.float(), hessian.float())
    assert torch.equal(kept, torch.stack(masks())[best])
    assert torch.allclose(pruned.double(), tried[best, torch.arange(60)], atol=1e-3)
    # Single errors added up, as the paper has it, choose worse somewhere.
    single = weight.square() / torch.linalg.inv(damped).diagonal()
    assert not torch.equal(single.argsort(dim=1)[:, 2:].sort(1).values, kept.nonzero()[:, 1].view(60, 2))


def test_each_pruning_is_better_than_the_one_before() -> None:
    weight, hessian = random(32, 128), correlated(128)
    hessian = hessian * torch.outer(*[torch.logspace(-0.5, 0.5, 128)[torch.randperm(128, generator=torch.Generator())]] * 2)
    errors = [float(error(method.pruned(weight, hessian)[0] - weight, hessian).sum()) for method in PRUNINGS]
    print(errors)
    assert errors[2] < 0.7 * errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("format", [Format.W2, Format.W2S, Format.W8])
@pytest.mark.parametrize("is_calibrated", [False, True])
def test_pruned_weights_are_zero_in_formats_that_have_one(format: Format, is_calibrated: bool) -> None:
    weight, hessian = random(20, 128), correlated(128)
    pruned, kept = SparseGpt().pruned(weight, hessian)
    matrix = gptq.quantize(pruned, format, hessian, kept) if is_calibrated else rtn.quantize(pruned, format, kept=kept)
    assert not matrix.dequantize()[~kept.numpy()].any()
    check_format(matrix)


def test_four_bits_have_no_zero_to_prune_to() -> None:
    weight, kept = Magnitude().pruned(random(4, 64), None)[0], torch.ones((4, 64), dtype=torch.bool)
    with pytest.raises(SpecError, match="Pruned matrices must be in w2, w2s, w8, which have a zero, not w4"):
        rtn.quantize(weight, Format.W4, kept=kept)


def check_format(matrix: QuantizedMatrix) -> None:
    """Fail unless every code decodes to itself and everything is in its range."""
    again = pack(matrix).unpacked()
    for name in ("codes", "scale", "offset", "mantissa", "exponent"):
        assert np.array_equal(getattr(again, name), getattr(matrix, name)), name
    codes = matrix.codes.view(np.int8) if matrix.format == Format.W8 else matrix.codes
    low, high = {Format.W8: (-127, 127), Format.W4: (0, 15)}.get(matrix.format, (0, 3))
    assert codes.min() >= low
    assert codes.max() <= high
    assert ((matrix.mantissa == 0) | ((matrix.mantissa >= 1 << 15) & (matrix.mantissa < 1 << 16))).all()
    assert ((matrix.exponent >= -128) & (matrix.exponent < 128)).all()
    matrix.check("matrix")


@pytest.mark.parametrize("format", list(WEIGHT_FORMATS))
@pytest.mark.parametrize("method", [gptq, rtn])
def test_codes_decode_and_scales_are_in_range(format: Format, method: object) -> None:
    weight = random(20, 128) * torch.logspace(-6, 6, 20)[:, None]
    check_format(rtn.quantize(weight, format) if method is rtn else gptq.quantize(weight, format, correlated(128)))


def test_gptq_lies_between_nearest_and_exhaustive_search() -> None:
    levels, inputs = 3, 4
    weight, hessian = random(40, inputs) * 0.7 + 1.0, correlated(inputs) + 20 * torch.eye(inputs)
    grid = torch.ones((40, inputs))
    columns = Columns(step=grid, base=torch.zeros_like(grid), low=0, high=levels - 1, kept=None, blank=torch.zeros_like(grid))
    every = torch.cartesian_prod(*[torch.arange(levels).float()] * inputs)
    best = torch.stack([error(codes - weight, hessian) for codes in every]).min(0).values
    found, nearest = error(gptq._codes(weight, columns, hessian) - weight, hessian), error(columns.codes(weight) - weight, hessian)
    assert bool((best <= found + 1e-6).all())
    assert float(found.sum()) < 0.9 * float(nearest.sum())
    alone = torch.diag(hessian.diagonal())
    assert torch.equal(gptq._codes(weight, columns, alone), columns.codes(weight))


def stored_blocks(rows: int, inputs: int) -> AffineBlocks:
    """Return random blocks, some without the lowest or the highest code."""
    generator = torch.Generator().manual_seed(SEED)
    codes = torch.randint(0, 16, (rows, inputs), generator=generator).to(torch.uint8)
    codes[:, :32] = codes[:, :32].clamp(2, 11)
    scales = (0.5 + torch.rand((rows, inputs // 32), generator=generator)) * 0.01
    return AffineBlocks(codes=codes, scales=scales, minima=-7.5 * scales + 0.002)


@pytest.mark.parametrize("method", [Keep(), Rtn(), Gptq()])
def test_stored_codes_pass_through(method: object) -> None:
    blocks = stored_blocks(24, 128)
    linear = Linear(weight=blocks.dequantized(), blocks=blocks)
    rows, columns = 0.5 + torch.rand(24), torch.tensor([0.5, 2.0, 1.5, 0.8]).repeat_interleave(32)
    changed = linear.with_rows_times(rows).with_columns_times(columns)
    matrix = method.quantized(changed, None, None)
    assert np.array_equal(matrix.codes, blocks.codes.numpy())
    assert np.abs(matrix.dequantize() - changed.weight.numpy()).max() < 0.15 * 0.03
    with pytest.raises(SpecError, match="Weights that are kept must be stored in GGUF Q4_1 blocks and not be rotated"):
        Keep().quantized(linear.with_columns_times(torch.rand(128)), None, None)


@pytest.mark.parametrize("bits", [4, 8])
def test_rounding_in_floats_is_that_of_integers(bits: int) -> None:
    values = random(50, 64) * torch.logspace(-1, 1, 50)[:, None]
    values[4] = values[4].abs()
    fixed = to_fixed(values.numpy())
    entry = ops.kv_quantize(fixed, bits)
    found = (entry.codes - entry.zero[:, None]) * (entry.scale[0] * np.exp2(entry.scale[1].astype(float)))[:, None]
    step = (values.amax(1).clamp(min=0) - values.amin(1).clamp(max=0)) / ((1 << bits) - 1)
    different = np.abs(found - rounded_cache(values, bits).numpy()) > 0.1 * step[:, None].numpy()
    # Halfway between two codes the last bit of a float decides.
    assert different.mean() < 0.002
    codes = ops.quantize(fixed)
    found = codes.codes * (codes.scale[0] * np.exp2(codes.scale[1].astype(float)))[:, None]
    top = values.abs().amax(1, keepdim=True).numpy() / 127
    assert (np.abs(found - rounded_activations(values).numpy()) > 0.01 * top).mean() < 0.01
    assert FRACTION_BITS == 16


@pytest.fixture
def layer(tmp_path) -> Layer:
    return Layer.of(tiny_checkpoint(tmp_path, has_bias=True), 0)


def context(layer: Layer, tmp_path, sequence: int = 40) -> Context:
    llama = Llama(tiny_checkpoint(tmp_path, has_bias=True))
    quantizers = {part: Rtn(format=Format.W8) for part in layer.linears}
    return Context(
        geometry=llama.geometry, pattern=parse("lambda:4+28"), cache=CacheFormat.KV4, sequence=sequence, quantizers=quantizers
    )


def attended(layer: Layer, inputs: torch.Tensor, known: Context, *, is_rounded: bool = False) -> torch.Tensor:
    """Return the update of the attention for one sequence."""
    round_cache = functools.partial(rounded_cache, bits=known.cache.bits)
    geometry = dataclasses.replace(known.geometry, round_cache=round_cache) if is_rounded else known.geometry
    mixed = known.pattern.layer(geometry).prefill(*layer.heads(layer.linears["qkv"].outputs(inputs)))
    return layer.linears["o"].outputs(mixed.transpose(0, 1).flatten(1))


@pytest.mark.parametrize("method", [RotateValues(), BalanceKeys(steps=3, shift=False)])
def test_attention_stays_what_it_was(layer: Layer, tmp_path, method: object) -> None:
    inputs, known = random(40, 64), context(layer, tmp_path)
    changed = method.applied(layer, "qkv", inputs, known)
    assert not torch.equal(changed.linears["qkv"].weight, layer.linears["qkv"].weight)
    assert torch.allclose(attended(changed, inputs, known), attended(layer, inputs, known), atol=1e-3, rtol=1e-3)


def test_balanced_keys_lose_less(layer: Layer, tmp_path) -> None:
    inputs, known = random(80, 64), context(layer, tmp_path)
    qkv, config = layer.linears["qkv"], layer.config
    keys = slice(config.heads * config.head_dim, (config.heads + config.kv_heads) * config.head_dim)
    bias, factor = torch.zeros(len(qkv.weight)), torch.ones(len(qkv.weight))
    bias[keys] = -6.0 * (torch.arange(64) % 32 == 31)
    factor[keys] = torch.where(torch.arange(64) % 16 == 1, 4.0, 1.0)
    layer = layer.with_linears(qkv=qkv.with_rows_times(factor).with_bias_less(bias))
    exact = attended(layer, inputs[:40], known)

    def loss(layer: Layer) -> float:
        return float((attended(layer, inputs[:40], known, is_rounded=True) - exact).square().sum())

    scaled, shifted = (BalanceKeys(steps=8, shift=shift).applied(layer, "qkv", inputs, known) for shift in (False, True))
    print(loss(shifted), loss(scaled), loss(layer))
    assert loss(shifted) < 0.9 * loss(scaled) < 0.9 * 0.7 * loss(layer)
    assert not BalanceKeys(shift=False).adds_bias


def test_keys_of_normalized_heads_are_balanced_by_gains(tmp_path) -> None:
    """Heads share the gains, of which those of queries take what those of keys lose; nothing is taken from keys."""
    checkpoint = tiny_checkpoint(tmp_path, has_head_norms=True)
    layer = Layer.of(checkpoint, 0)
    inputs, known = random(80, 64), context(layer, tmp_path)
    cache = known.pattern.layer(known.geometry)
    expected = Llama(checkpoint).attention(0, inputs[:40], cache)
    assert torch.allclose(attended(layer, inputs[:40], known), expected, atol=1e-5)
    wide = torch.where(torch.arange(32) % 16 == 1, 8.0, 1.0)
    layer = layer.with_gain(KEY_NORM, layer.gains[KEY_NORM] * wide).with_gain(QUERY_NORM, layer.gains[QUERY_NORM] / wide)
    exact = attended(layer, inputs[:40], known)
    changed = BalanceKeys(steps=4, shift=True).applied(layer, "qkv", inputs, known)
    assert torch.equal(changed.linears["qkv"].weight, layer.linears["qkv"].weight)
    assert changed.linears["qkv"].bias is None
    products = [each.gains[QUERY_NORM] * each.gains[KEY_NORM] for each in (layer, changed)]
    assert torch.allclose(*products, rtol=1e-5)
    assert torch.allclose(attended(changed, inputs[:40], known), exact, atol=1e-3, rtol=1e-3)
    before, after = (
        float((attended(each, inputs[:40], known, is_rounded=True) - exact).square().sum()) for each in (layer, changed)
    )
    assert after < 0.7 * before


@pytest.mark.parametrize("part", ["qkv", "gateup", "down"])
def test_smoothing_changes_nothing_but_rounding(layer: Layer, tmp_path, part: str) -> None:
    stream, norm = random(60, 64), ATTENTION_NORM if part == "qkv" else FFN_NORM
    layer = layer.with_gain(norm, torch.where(torch.arange(64) == 5, 40.0, layer.gains[norm]))
    if part == "down":
        loud = torch.ones(256)
        loud[130] = 60.0
        layer = layer.with_linears(gateup=layer.linears["gateup"].with_rows_times(loud))
    changed = Smooth().applied(layer, part, rms_norm(stream, layer.gains[norm], 1e-5), context(layer, tmp_path))

    def outputs(layer: Layer, is_rounded: bool) -> torch.Tensor:
        inputs = rms_norm(stream, layer.gains[norm], 1e-5)
        if part == "down":
            gate, up = layer.linears["gateup"].outputs(inputs).split(layer.config.ffn, dim=1)
            inputs = torch.nn.functional.silu(gate) * up
        return layer.linears[part].outputs(rounded_activations(inputs) if is_rounded else inputs)

    exact = outputs(layer, False)
    assert torch.allclose(outputs(changed, False), exact, rtol=1e-3, atol=1e-3)
    before, after = (float((outputs(each, True) - exact).square().sum()) for each in (layer, changed))
    assert after < 0.7 * before


def loud_inputs(tokens: int, inputs: int) -> torch.Tensor:
    """Return inputs of which some are loud, not always and not all alike."""
    loud = torch.where(torch.arange(inputs) % 17 == 3, 20.0, 1.0) * torch.linspace(0.5, 2.0, inputs)
    return random(tokens, inputs) * loud * torch.logspace(-1, 1, tokens)[:, None]


def relative_error(linear: Linear, inputs: torch.Tensor, factor: torch.Tensor, format: Format) -> float:
    """Return the mean over tokens of the squared error of the outputs over their square."""
    matrix = Rtn(format=format).quantized(linear.with_columns_times(factor), None, None)
    found = rounded_activations(inputs / factor) @ torch.from_numpy(matrix.dequantize()).float().T
    exact = linear.outputs(inputs)
    return float(((found - exact).square().sum(1) / exact.square().sum(1)).mean())


def test_descent_finds_better_factors_than_powers() -> None:
    linear, inputs = Linear(weight=random(48, 128) * torch.linspace(0.2, 3.0, 128)), loud_inputs(300, 128)
    powers, fitted = (Smooth(steps=steps)._factor(linear, inputs, Rtn(format=Format.W8)) for steps in (0, 60))
    before, after = (relative_error(linear, inputs, factor, Format.W8) for factor in (powers, fitted))
    print(before, after)
    assert after < 0.95 * before
    assert float(fitted.log().mean()) == pytest.approx(0.0, abs=1e-5)


class FineRtn(Rtn):
    """Rounds to 8 bits whatever its format, so that weights do not speak against any factors."""

    def quantized(self, linear: Linear, hessian: torch.Tensor | None, kept: torch.Tensor | None) -> QuantizedMatrix:
        return Rtn(format=Format.W8).quantized(linear, hessian, kept)


@pytest.mark.parametrize("steps", [0, 20])
def test_only_weights_that_stay_in_stored_blocks_share_factors(steps: int) -> None:
    blocks = stored_blocks(24, 128)
    linear, inputs = Linear(weight=blocks.dequantized(), blocks=blocks), loud_inputs(200, 128)
    shared, free = (Smooth(steps=steps)._factor(linear, inputs, FineRtn(format=each)) for each in (Format.W4, Format.W8))
    assert bool((shared.view(-1, 32) == shared.view(-1, 32)[:, :1]).all())
    assert linear.with_columns_times(shared).blocks is not None
    assert len(free.unique()) > 64
    assert relative_error(linear, inputs, free, Format.W8) < 0.5 * relative_error(linear, inputs, shared, Format.W8)


def test_hadamard_is_orthogonal_and_even() -> None:
    turn = hadamard(64)
    assert torch.allclose(turn @ turn.T, torch.eye(64), atol=1e-6)
    assert torch.equal(turn.abs(), torch.full((64, 64), 0.125))
    with pytest.raises(SpecError, match="Channels of a head whose values are rotated must be a power of two, not 48"):
        hadamard(48)
