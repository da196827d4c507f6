"""Numbers read as people write them."""

from reports.text.figures import plural, size_text, watts_text


def test_sizes_are_in_the_unit_that_reads_best() -> None:
    assert [size_text(count) for count in (0, 1023, 1536, 5 << 20)] == ["0 bytes", "1,023 bytes", "1.5 KiB", "5.0 MiB"]


def test_power_is_in_words_with_the_largest_part_first() -> None:
    assert watts_text({"side_memory": 1.25, "none": 0.0, "logic": 3.0}) == "logic 3.0 W, side memory 1.2 W"


def test_one_is_singular() -> None:
    assert [plural(count, "token") for count in (1, 2, 1234)] == ["1 token", "2 tokens", "1,234 tokens"]
