"""The energy estimate: parts add up, follow what is counted, and every number says its source."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from hwsim.arch.config import load_engine
from hwsim.errors import SpecError
from hwsim.machine.energy import Activity, Energy, EnergyConstants, Part, energy_board, estimate, load_constants, load_systems
from hwsim.machine.energy.systems import load_system
from hwsim.sourced import Sourced

SOMETHING = Activity(
    seconds=1e-3, memory_bits=1e9, ram_accesses=1e7, multiplier_operations=1e8, logic_cycles=1e11, register_cycles=1e11
)
BY_COUNT = {
    "memory_bits": (Part.MEMORY, Part.INTERFACE),
    "ram_accesses": (Part.ON_CHIP,),
    "multiplier_operations": (Part.MULTIPLIERS,),
    "logic_cycles": (Part.LOGIC,),
    "register_cycles": (Part.CLOCK,),
    "seconds": (Part.SHELL, Part.STATIC),
}
SPECS = Path(__file__).parents[2] / "hwsim" / "specs"


def test_parts_add_up() -> None:
    energy = estimate(SOMETHING, load_constants())
    assert set(energy.parts) == set(Part)
    assert all(joules > 0 for joules in energy.parts.values())
    assert energy.card_j == pytest.approx(sum(energy.parts.values()))
    assert energy.card_j == pytest.approx(energy.chip_j + energy.parts[Part.CARD])
    assert energy.card_w == pytest.approx(energy.card_j / 1e-3)
    assert 0 < energy.assumed_share < 1


def test_power_is_energy_over_time_and_what_is_assumed_a_share_of_the_card() -> None:
    energy = Energy(seconds=4.0, parts=dict.fromkeys(Part, 2.0), assumed_j=4.5)
    assert len(Part) == 9
    assert (energy.card_j, energy.chip_j, energy.card_w, energy.chip_w, energy.assumed_share) == (18.0, 16.0, 4.5, 4.0, 0.25)
    assert energy.watts == dict.fromkeys((part.value for part in Part), 0.5)


@pytest.mark.parametrize("count", BY_COUNT)
def test_a_part_doubles_with_its_count_and_no_other_does(count: str) -> None:
    constants = load_constants()
    once = estimate(SOMETHING, constants)
    twice = estimate(dataclasses.replace(SOMETHING, **{count: 2 * getattr(SOMETHING, count)}), constants)
    for part in set(Part) - {Part.CARD}:
        factor = 2 if part in BY_COUNT[count] else 1
        assert twice.parts[part] == pytest.approx(factor * once.parts[part]), part
    assert twice.parts[Part.CARD] > once.parts[Part.CARD]


def test_without_work_only_what_is_always_drawn() -> None:
    constants = load_constants()
    energy = estimate(Activity(seconds=2.0), constants)
    assert {part for part, joules in energy.parts.items() if joules} == {Part.SHELL, Part.STATIC, Part.CARD}
    chip = constants.shell_w.value + constants.static_w.value
    assert energy.chip_w == pytest.approx(chip)
    assert energy.card_w == pytest.approx(chip / constants.regulator_efficiency.value + constants.card_w.value)


def test_assumed_share_follows_constants_and_counts() -> None:
    constants = load_constants()
    sure = {
        field.name: dataclasses.replace(value, kind="paper") if isinstance(value, Sourced) else value
        for field in dataclasses.fields(constants)
        for value in [getattr(constants, field.name)]
    }
    known = EnergyConstants(**sure)
    assert estimate(SOMETHING, known).assumed_j == 0
    doubtful = estimate(dataclasses.replace(SOMETHING, assumed=frozenset({"memory_bits"})), known)
    assert doubtful.assumed_j == pytest.approx(doubtful.parts[Part.MEMORY] + doubtful.parts[Part.INTERFACE])
    efficiency = dataclasses.replace(known.regulator_efficiency, kind="assumed")
    lossy = estimate(SOMETHING, dataclasses.replace(known, regulator_efficiency=efficiency))
    assert lossy.assumed_j == pytest.approx(lossy.parts[Part.CARD] - known.card_w.value * SOMETHING.seconds)


def written(tmp_path: Path, name: str, change: dict[str, object]) -> Path:
    """Return a copy of a shipped file with entries changed; None removes one."""
    document = yaml.safe_load((SPECS / name).read_text())
    place = document.get("energy", document)
    for key, value in change.items():
        if value is None:
            del place[key]
        else:
            place[key] = value
    path = tmp_path / Path(name).name
    path.write_text(yaml.safe_dump(document))
    return path


GOOD = {"value": 1.0, "kind": "paper", "source": "somewhere"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"card_w": {"value": 1.0}}, "Board energy.card_w must have the fields 'kind', 'source'"),
        ({"card_w": 6.0}, "Board energy.card_w must be a mapping of value, kind and source, not 6.0"),
        ({"card_w": GOOD | {"source": " "}}, "Board energy.card_w.source must be text that says .*, not ' '"),
        ({"card_w": GOOD | {"kind": "guess"}}, "Board energy.card_w.kind must be one of assumed, .*, not 'guess'"),
        ({"card_w": GOOD | {"value": -1}}, "Board energy.card_w.value must be a number of at least 0, not -1"),
        ({"card_w": GOOD | {"value": "6"}}, "Board energy.card_w.value must be a number of at least 0, not '6'"),
        ({"card_w": None}, "Board energy must have the field 'card_w'"),
        ({"fan_w": GOOD}, "Board energy field must be one of its own such as 'card_w', not 'fan_w'"),
        (
            {"regulator_efficiency": GOOD | {"value": 1.5}},
            "Board energy.regulator_efficiency.value must be a number above 0 and at most 1, not 1.5",
        ),
    ],
)
def test_constants_without_a_source_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_constants(str(written(tmp_path, "boards/u280.yaml", change)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": "rack"}, "Published system scope must be one of card, chip, not 'rack'"),
        ({"watts": 33}, "Published system watts must be a mapping of value, kind and source, not 33"),
        ({"watts": GOOD | {"value": 0}}, "Published system watts.value must be a number above 0, not 0"),
        ({"watts": None}, "Published system must have the field 'watts'"),
        ({"volts": 12}, "Published system field must be one of its own such as '.*', not 'volts'"),
    ],
)
def test_systems_without_a_source_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_system(str(written(tmp_path, "systems/accllm-u280.yaml", change)))


def test_an_unknown_board_is_refused() -> None:
    with pytest.raises(SpecError, match="^Board must be one of u280, u55c or a YAML file, not 'u999'"):
        load_constants("u999")


def test_a_board_without_constants_is_refused(tmp_path: Path) -> None:
    document = yaml.safe_load((SPECS / "boards/u280.yaml").read_text())
    del document["energy"]
    path = tmp_path / "board.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SpecError, match="^Board u280 must have energy, the constants of the estimate, which its file leaves out$"):
        load_constants(str(path))


@pytest.mark.parametrize(
    ("engine", "settings", "board"),
    [
        ("u280", {}, "u280"),
        ("u55c", {}, "u55c"),
        ("tiny", {}, "u280"),
        ("small", {}, "u280"),
        ("u55c", {"name": "mine"}, "u55c"),
        ("u55c", {"tile.ports": 16}, "u55c"),
        ("u280", {"channel_bytes": 1 << 29}, "u55c"),
    ],
)
def test_an_engine_is_powered_as_its_board(engine: str, settings: dict[str, object], board: str) -> None:
    assert energy_board(load_engine(engine).with_values(settings)).name == board


def test_the_u55c_differs_in_its_memory_and_its_card() -> None:
    ours, theirs = load_constants("u55c"), load_constants("u280")
    names = [field.name for field in dataclasses.fields(EnergyConstants)]
    assert {name for name in names if getattr(ours, name).value != getattr(theirs, name).value} == {"static_w", "card_w"}


def test_published_systems_name_what_is_assumed() -> None:
    systems = {system.name: system for system in load_systems()}
    assert set(systems) == {"AccLLM", "FlightLLM"}
    assert systems["AccLLM"].activity.assumed > systems["FlightLLM"].activity.assumed
    assert "memory_bytes_per_token" not in systems["FlightLLM"].assumed


def test_a_token_of_a_published_system_does_its_share_of_a_second(tmp_path: Path) -> None:
    """At half a token a second and 1000 cycles a second a token takes 2000 cycles; logic and memories work in a quarter of them."""
    values = {
        "token_per_s": 0.5,
        "clock_hz": 1000.0,
        "memory_bytes_per_token": 30.0,
        "multiplications_per_token": 60.0,
        "multiplications_per_operation": 4.0,
        "luts": 7.0,
        "registers": 11.0,
        "rams": 3.0,
        "busy": 0.25,
    }
    change: dict[str, object] = {name: GOOD | {"value": value} for name, value in values.items()}
    assert load_system(str(written(tmp_path, "systems/accllm-u280.yaml", change))).activity == Activity(
        seconds=2.0,
        memory_bits=240.0,
        ram_accesses=1500.0,
        multiplier_operations=15.0,
        logic_cycles=3500.0,
        register_cycles=22000.0,
    )
