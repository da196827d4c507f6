"""The rows of flash figures: what they say, near what is published, and how the assumptions behind them move them."""

import pytest

from reports.studies.validation.flash import DRIVE, FIRST, FLASH, LAST, SEED, SPARF, decode_rate, fractions


def test_rows() -> None:
    print(f"seed {SEED}")
    found = FLASH.rows
    for row in found:
        print(f"{row.case}: {row.published:.4f} published, {row.ours:.4f} ours, {row.error:+.1%}")
        assert not row.fitted
        assert row.source
    fraction, at_once, few, writes, prompt = found
    assert fraction.published == pytest.approx(0.527, abs=0.0005)
    assert abs(fraction.error) < 0.08
    assert abs(at_once.error) < 0.08
    assert abs(few.error) < 0.08
    assert writes.ours == 1.5
    assert prompt.ours == 4 * 64 * 1024 * 5120 / 1e9


def test_published_fraction_lies_within_what_is_possible() -> None:
    """Independent picks and picks in one run enclose it, in all but one way to 1/8; where they do, a length of runs gives it."""
    found = list(fractions())
    enclosing = [each for each in found if each.one_run < 0.5268 < each.independent]
    assert len(found) == 9
    assert [each for each in found if each.run_tokens is not None] == enclosing
    assert len(enclosing) == 8
    for each in found:
        assert each.one_run < each.measured < each.independent
    assert min(each.measured for each in found) < 0.5268 < max(each.measured for each in found)


def test_the_default_is_one_of_them() -> None:
    (ours,) = [each for each in fractions() if each.picked_channels == 16 and each.page_channels == 4]
    assert ours.measured == SPARF.flash_fraction(FIRST, LAST)
    assert SPARF.compression == 1 / 8


def test_rate_grows_with_heads_at_a_time() -> None:
    found = [float(decode_rate(DRIVE, SPARF, lanes_in_flight=heads).to("GB/s")) for heads in (1, 4, 64)]
    assert found == sorted(found)
    assert found[0] < 3
    assert found[2] < 10.49
