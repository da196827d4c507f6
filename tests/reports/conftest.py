"""What tests of several pages have in common: one run of the demo on a tiny model."""

import pytest

from reports.studies.demo_summary import DemoSummary
from tests.reports.tiny_demo import Heard, tiny_demo


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoSummary, Heard]:
    """The demo's summary and listener; the co-simulation itself is tested in tests/testbenches. Its folder is only read."""
    return tiny_demo(tmp_path_factory.mktemp("demo"))
