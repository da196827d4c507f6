"""Work in another process: its value, its refusal, its end."""

import os

import pytest

from hwsim.errors import ConfigError, MachineError
from lamforge.flow.engines import chosen_engine
from reports.studies.beside import Beside


def test_a_value_comes_back() -> None:
    work = Beside(chosen_engine, "tiny", {"tile.tokens": 3})
    assert work.result() == chosen_engine("tiny", {"tile.tokens": 3})


def test_a_refusal_comes_back() -> None:
    with pytest.raises(ConfigError, match="Engine tile.tokens must be an integer from 1 to 7, not 9"):
        Beside(chosen_engine, "tiny", {"tile.tokens": 9}).result()


def test_an_end_without_answer_is_named() -> None:
    with pytest.raises(MachineError, match=r"Work beside \(_exit\) must answer, not end with code 7"):
        Beside(os._exit, 7).result()
