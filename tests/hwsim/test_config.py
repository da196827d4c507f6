"""Engine configurations: presets load, round trips are equal, and every configuration that cannot be is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwsim.arch.config import BufferConfig, EngineConfig, engine_names, load_engine
from hwsim.errors import ConfigError


@pytest.fixture(params=engine_names())
def engine(request: pytest.FixtureRequest) -> EngineConfig:
    return load_engine(request.param)


def test_the_shipped_engines() -> None:
    assert {"tiny", "small", "u280"} <= set(engine_names())


def test_presets_round_trip(engine: EngineConfig, tmp_path: Path) -> None:
    assert EngineConfig.from_dict(engine.to_dict()) == engine
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(engine.to_dict()))
    assert load_engine(str(path)) == engine


def test_digest_depends_on_every_field_but_the_name(engine: EngineConfig) -> None:
    assert dataclasses.replace(engine, name="other").digest == engine.digest
    assert engine.with_values({"tile.tokens": 1}).digest != engine.digest
    assert engine.with_values({"clock_hz": 100e6}).digest != engine.digest
    assert len(engine.digest) == 64


def test_a_file_of_the_preset_is_the_preset(engine: EngineConfig) -> None:
    assert engine.with_values({}) == engine


def test_derived_sizes() -> None:
    u280 = load_engine("u280")
    assert u280.tile.slices == 128
    assert u280.tile.beat_bytes == 2048
    assert u280.drain_words == 4
    assert u280.peak_bytes_per_s == pytest.approx(460.8e9)
    assert load_engine("tiny").tile.slices == 1
    assert load_engine("tiny").drain_words == 1


def with_setting(path: str, value: object) -> str:
    """Return the refusal of `small` with one setting replaced."""
    with pytest.raises(ConfigError) as refusal:
        load_engine("small").with_values({path: value})
    return str(refusal.value)


BUFFER_LIMITS = {
    "activation_segments": (4, 2048),
    "result_words": (16, 16384),
    "residual_words": (16, 16384),
    "parameter_words": (16, 4096),
    "side_words": (4, 4096),
    "scales": (8, 64),
}


def test_every_buffer_has_its_limits_here() -> None:
    assert set(BUFFER_LIMITS) == {field.name for field in dataclasses.fields(BufferConfig)}


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("tile.ports", 0, "Engine tile.ports must be a power of two from 1 to 64, not 0"),
        ("tile.ports", 128, "Engine tile.ports must be a power of two from 1 to 64, not 128"),
        ("tile.ports", 6, "Engine tile.ports must be a power of two from 1 to 64, not 6"),
        ("tile.ports", "2", "Engine tile.ports must be a power of two from 1 to 64, not '2'"),
        ("tile.ports", True, "Engine tile.ports must be a power of two from 1 to 64, not True"),
        ("tile.ports", 2.0, "Engine tile.ports must be a power of two from 1 to 64, not 2.0"),
        ("tile.port_bits", 384, "Engine tile.port_bits must be one of 128, 256, 512, not 384"),
        ("tile.tokens", 8, "Engine tile.tokens must be an integer from 1 to 7, not 8"),
        ("tile.nibble_tokens", 0, "Engine tile.nibble_tokens must be an integer from 1 to 7, not 0"),
        ("tile.nibble_tokens", 1, "Engine tile.nibble_tokens must be even where it is below tile.tokens, not 1"),
        ("fetch.burst_beats", 128, "Engine fetch.burst_beats must be a power of two from 2 to 64, not 128"),
        ("fetch.burst_beats", 12, "Engine fetch.burst_beats must be a power of two from 2 to 64, not 12"),
        ("fetch.fifo_beats", 4, "Engine fetch.fifo_beats must be a power of two from 8 to 4096, not 4"),
        ("fetch.fifo_beats", 16, "Engine fetch.fifo_beats must be at least two bursts of 16, not 16"),
        ("vector.lanes", 2, "Engine vector.lanes must be a power of two from 4 to 32, not 2"),
        ("vector.lanes", 24, "Engine vector.lanes must be a power of two from 4 to 32, not 24"),
        ("control.queue_depth", 1, "Engine control.queue_depth must be a power of two from 2 to 64, not 1"),
        ("control.program_words", 100, "Engine control.program_words must be a power of two from 64 to 4096, not 100"),
        ("control.watchdog_cycles", 9, "Engine control.watchdog_cycles must be an integer from 256 to 16777216, not 9"),
        (
            "name",
            "../x",
            "Engine name must be 1 to 64 letters, digits, '.', '_' and '-' that begin with a letter or a digit and have no '..',"
            " not '../x'",
        ),
        ("clock_hz", 1.0, "Engine clock_hz must be a number from 1e6 to 2e9, not 1.0"),
        ("clock_hz", float("nan"), "Engine clock_hz must be a number from 1e6 to 2e9, not nan"),
        ("clock_hz", "fast", "Engine clock_hz must be a number from 1e6 to 2e9, not 'fast'"),
        ("channel_bytes", 100000, "Engine channel_bytes must be a power of two from 65536 to 17179869184, not 100000"),
        ("tile.prots", 2, "Engine setting must be a field such as 'tile.ports', not 'tile.prots'"),
        ("tile", 2, "Engine setting must be a field such as 'tile.ports', not 'tile'"),
        ("tile.ports.more", 2, "Engine setting must be a field such as 'tile.ports', not 'tile.ports.more'"),
        *(
            (f"buffer.{name}", low - 1, f"Engine buffer.{name} must be a power of two from {low} to {high}, not {low - 1}")
            for name, (low, high) in BUFFER_LIMITS.items()
        ),
        *(
            (f"buffer.{name}", low + 1, f"Engine buffer.{name} must be a power of two from {low} to {high}, not {low + 1}")
            for name, (low, high) in BUFFER_LIMITS.items()
        ),
    ],
)
def test_settings_are_refused(path: str, value: object, text: str) -> None:
    assert with_setting(path, value) == text


@pytest.mark.parametrize(("port_bits", "most"), [(512, 32), (256, 64), (128, 64)])
def test_the_most_ports_of_a_width(port_bits: int, most: int) -> None:
    engine = load_engine("small").with_values({"tile.port_bits": port_bits, "tile.ports": most})
    assert engine.tile.slices <= 128
    if most < 64:
        with pytest.raises(ConfigError, match="Engine tile.ports must be at most 32 with ports of 512 bits, not 64$"):
            engine.with_values({"tile.ports": 64})


def test_the_longest_burst_of_the_widest_port_is_4096_bytes() -> None:
    longest = {"tile.port_bits": 512, "fetch.burst_beats": 64, "fetch.fifo_beats": 128}
    engine = load_engine("small").with_values(longest)
    assert engine.fetch.burst_beats * engine.tile.port_bytes == 4096


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return `small` as plain values with a field replaced, or removed when `value` is None."""
    data = load_engine("small").to_dict()
    *parents, leaf = path.split(".")
    node = data
    for name in parents:
        node = node[name]
    if value is None:
        del node[leaf]
    else:
        node[leaf] = value
    return data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "Engine must be a mapping of fields, not []"),
        (changed("tile", 3), "Engine tile must be a mapping of fields, not 3"),
        (changed("clock", 1e8), "Engine field must be one of its own such as 'clock_hz', not 'clock'"),
        (changed("tile.tokenz", 2), "Engine tile field must be one of its own such as 'tokens', not 'tokenz'"),
        (changed("clock_hz", None), "Engine must have the field 'clock_hz'"),
        (changed("buffer.scales", None), "Engine buffer must have the field 'scales'"),
    ],
)
def test_malformed_data_is_refused(data: object, text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        EngineConfig.from_dict(data)
    assert str(refusal.value) == text


def test_names_and_files_that_are_not_there(tmp_path: Path) -> None:
    names = ", ".join(engine_names())
    with pytest.raises(ConfigError) as refusal:
        load_engine("smal")
    assert str(refusal.value) == f"Engine must be one of {names} or a YAML file, not 'smal' (nearest: small)"
    missing = str(tmp_path / "mine.yaml")
    with pytest.raises(ConfigError, match=f"^Engine file must be readable, not '{missing}' "):
        load_engine(missing)
    broken = tmp_path / "broken.yaml"
    broken.write_text("tile: {ports: 2")
    with pytest.raises(ConfigError) as refusal:
        load_engine(str(broken))
    assert str(refusal.value) == (
        f"Engine file must be YAML, not the text of {str(broken)!r} (line 2, tile: did not find expected ',' or '}}')"
    )
    broken.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="^Engine file must be readable, not "):
        load_engine(str(broken))
