"""The mutants of a source: which there are, that each is one change, and what is left as it is."""

import textwrap

from tests.mutation.__main__ import files_beside
from tests.mutation.mutants import Mutant, mutants_of

SOURCE = textwrap.dedent('''\
    """Adds 1 and 2."""

    import functools

    __all__ = ["added"]


    @functools.lru_cache(maxsize=3)
    def added(x: int | None, *rest: int, at: int = 4) -> tuple[int, 7]:
        """Return 5 < 6."""
        if not x and at <= 8:
            return max(x, -at) >> 9
        x += 1.5
        return [*rest, f"{x + 1}", x[10:]]
    ''')


def test_mutants_are_the_operators_comparisons_and_numbers_of_the_code() -> None:
    found = [(mutant.line, mutant.old, mutant.new) for mutant in mutants_of(SOURCE)]
    assert found == [
        (9, "4", "5"),
        (11, "not", ""),
        (11, "and", "or"),
        (11, "<=", "<"),
        (11, "8", "9"),
        (12, "max", "min"),
        (12, "-", "+"),
        (12, ">>", "<<"),
        (12, "9", "10"),
        (13, "+=", "-="),
        (14, "*", "+"),
        (14, "10", "11"),
    ]


def test_a_mutant_is_one_change() -> None:
    text = Mutant(12, 27, ">>", "<<").applied(SOURCE)
    assert [(one, other) for one, other in zip(SOURCE.splitlines(), text.splitlines(), strict=True) if one != other] == [
        ("        return max(x, -at) >> 9", "        return max(x, -at) << 9")
    ]
    assert Mutant(11, 7, "not", "").shown(SOURCE) == "11:7 not -> nothing   if not x and at <= 8:"


def test_the_files_beside_a_module_are_those_that_import_it_or_its_package() -> None:
    assert files_beside("hwsim/arch/numerics.py")[0] == "tests/hwsim/test_numerics.py"
    assert "tests/hwsim/test_time.py" in files_beside("hwsim/machine/time/ports.py")
