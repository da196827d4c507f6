"""What the benches' tests share: the smallest engine, its Verilog, and a random model compiled for it."""

import pytest

from compiler.model import compile_model
from compiler.pipeline import Compiled
from hwsim.arch.config import EngineConfig, load_engine
from models.integer import IntegerModel
from testbenches.verilated import Verilated
from tests.random_model import random_model


@pytest.fixture(scope="module")
def engine() -> EngineConfig:
    return load_engine("tiny")


@pytest.fixture(scope="module")
def verilated(engine: EngineConfig) -> Verilated:
    return Verilated(engine)


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    return random_model(7)


@pytest.fixture(scope="module")
def compiled(model: IntegerModel, engine: EngineConfig) -> Compiled:
    return compile_model(model, engine, context=32)
