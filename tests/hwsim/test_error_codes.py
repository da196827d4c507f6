"""The error register in words, and the page that explains its codes."""

from pathlib import Path

from hwsim.arch.registers import ErrorCode, error_code, error_sentence

PAGE = Path(__file__).parents[2] / "docs" / "engine.md"


def test_the_register_reads_as_a_sentence() -> None:
    assert error_sentence(ErrorCode.BAD_CHECK | 7 << 8) == "a bad check byte in word 7"
    assert error_sentence(ErrorCode.READ_RESPONSE | 2 << 8) == "a read error on port 2"
    assert error_sentence(ErrorCode.WRITE_RESPONSE) == "a write error"
    assert error_sentence(0x1FF) == "error 255"
    assert error_code(ErrorCode.WATCHDOG | 3 << 8) is not ErrorCode.WATCHDOG
    assert error_code(ErrorCode.WATCHDOG | 3 << 8) == ErrorCode.WATCHDOG


def test_the_page_has_every_code_with_its_detail() -> None:
    section = PAGE.read_text().split("## 8. Errors")[1].split("## 9.")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")]
    words = {None: "-", "pc": "pc", "port": "port (P = side)", "pair": "producer * 4 + consumer"}
    assert [(code, detail) for code, _, detail in rows[1:]] == [(str(int(code)), words[code.detail]) for code in ErrorCode]
