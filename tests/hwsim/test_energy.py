"""The energy estimate: parts add up, follow what is counted, and every number says its source."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from hwsim.errors import SpecError
from hwsim.machine.energy import Activity, EnergyConstants, Part, estimate, load_constants, load_systems
from hwsim.machine.energy.constants import constants_of
from hwsim.machine.energy.systems import system_of
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


def written(tmp_path: Path, name: str, change: dict[str, object]) -> Path:
    """Return a copy of a shipped file with entries changed; None removes one."""
    document = yaml.safe_load((SPECS / name).read_text())
    place = document.get("constants", document)
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
        ({"card_w": {"value": 1.0}}, r"Constant card_w of u280.yaml must have value, kind and source, not \{'value': 1.0\}"),
        ({"card_w": 6.0}, "Constant card_w of u280.yaml must have value, kind and source, not 6.0"),
        ({"card_w": GOOD | {"source": " "}}, "Constant card_w of u280.yaml source must say where the number comes from, not ' '"),
        ({"card_w": GOOD | {"kind": "guess"}}, "Constant card_w of u280.yaml kind must be one of datasheet, .*, not 'guess'"),
        ({"card_w": GOOD | {"value": -1}}, "Constant card_w of u280.yaml must be a number of at least 0, not -1"),
        ({"card_w": GOOD | {"value": "6"}}, "Constant card_w of u280.yaml must be a number of at least 0, not '6'"),
        ({"card_w": None}, "Constants of u280.yaml must be the known ones, not differ in card_w"),
        ({"fan_w": GOOD}, "Constants of u280.yaml must be the known ones, not differ in fan_w"),
        ({"regulator_efficiency": GOOD | {"value": 1.5}}, "efficiency of u280.yaml must be above 0 and at most 1, not 1.5"),
    ],
)
def test_constants_without_a_source_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        constants_of(written(tmp_path, "energy/u280.yaml", change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": "rack"}, "Scope of accllm-u280.yaml must be one of card, chip, not 'rack'"),
        ({"watts": 33}, "Constant watts of accllm-u280.yaml must have value, kind and source, not 33"),
        ({"watts": None}, "File accllm-u280.yaml must have the entry watts, which is missing"),
        ({"volts": 12}, "File accllm-u280.yaml must have only the entries .*, not 'volts'"),
    ],
)
def test_systems_without_a_source_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        system_of(written(tmp_path, "systems/accllm-u280.yaml", change))


def test_an_unknown_board_is_refused() -> None:
    with pytest.raises(SpecError, match="Board with energy constants must be one of u280, not 'u999'"):
        load_constants("u999")


def test_published_systems_name_what_is_assumed() -> None:
    systems = {system.name: system for system in load_systems()}
    assert set(systems) == {"AccLLM", "FlightLLM"}
    assert systems["AccLLM"].activity.assumed > systems["FlightLLM"].activity.assumed
    assert "memory_bytes_per_token" not in systems["FlightLLM"].assumed
