"""A written page in headless Chromium: what it says, asks for and shows, and where keys lead."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["NARROW", "SCHEMES", "WIDE", "WIDTHS", "Opened", "opened", "started"]

NARROW, WIDE = 390, 1280
"""Widths of a phone and of a screen, in CSS pixels."""
WIDTHS = (NARROW, WIDE)
SCHEMES = ("light", "dark")
_PAPER = 718
"""Width of an A4 sheet within Chromium's margins of a centimetre, in CSS pixels."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_HEIGHT = 900
_MOST_TABS = 2000

# Elements that stick out of the window and are in no box that scrolls; fixed ones do not widen the page, but are cut all the same.
_OUTSIDE = """() => {
  const scrolls = (one) => one && (["auto", "scroll"].includes(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  const said = (one) => one.tagName.toLowerCase() + (one.id ? "#" + one.id : "");
  return [...document.body.querySelectorAll("*:not(svg *)")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && box.height && (box.right > innerWidth + 1 || box.left < -1) && !scrolls(one.parentElement);
  }).map(said);
}"""
# Texts of pictures that stick out of their picture, which cuts them.
_CUT = """() => [...document.querySelectorAll("svg text")].filter((text) => {
  const box = text.getBoundingClientRect(), all = text.ownerSVGElement.getBoundingClientRect();
  const shown = getComputedStyle(text).opacity !== "0" && text.textContent.trim() && box.width;
  return shown && (box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1);
}).map((text) => text.textContent)"""
# Boxes whose content goes on beyond them: paper does not scroll.
_HIDDEN = """() => [...document.body.querySelectorAll("*:not(svg *):not(output)")].filter((one) => {
  const style = getComputedStyle(one);
  return one.clientWidth && style.overflowX !== "visible" && style.position !== "absolute"
    && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
}).map((one) => one.tagName.toLowerCase() + (one.id ? "#" + one.id : "." + one.className))"""
_INTERACTIVE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility()).map((one, number) => { one.dataset.stop = number; return number; })"""
# Where the keys are: its number among what is interactive (-1 for anything else), and whether that can be seen.
_FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return [one === document.body ? null : Number(one.dataset.stop ?? -1),
    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1];
}"""


def chromium() -> str:
    """Return the path of Chromium; without it the test fails where CI is set, and is left out elsewhere, saying what to install."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        told = "Chromium must be installed, so that the written pages are looked at: apt install chromium"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return found


@contextmanager
def started() -> Iterator[Browser]:
    """Give the browser, which runs until the end of the context."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


class Opened:
    """A page in a window of its own.

    Attributes:
        page: it.
        messages: what it wrote to the console, and its uncaught errors.
        requests: addresses that it asked for beside its own.
    """

    def __init__(self, page: Page, path: Path):
        self.page, self.messages, self.requests = page, list[str](), list[str]()
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri(), wait_until="load")
        self.requests.remove(path.as_uri())
        # Charts are drawn after the page has been read.
        page.wait_for_function("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg'))")

    def wear(self, scheme: str) -> None:
        """Show the page as a reader sees it who prefers a colour scheme, of SCHEMES."""
        self.page.emulate_media(color_scheme=scheme)

    def first_sentence(self) -> str:
        """Return the first sentence of the page, which ends with a full stop."""
        lines: list[str] = self.page.locator("main").inner_text().splitlines()
        return next(line for line in lines if line.rstrip().endswith("."))

    def overflows(self) -> list[str]:
        """Return what is wider than the window."""
        page = self.page
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return [*(["page scrolls sideways"] if wide else []), *page.evaluate(_OUTSIDE)]

    def cut_texts(self) -> list[str]:
        """Return the texts of pictures of which a part is outside their picture."""
        found: list[str] = self.page.evaluate(_CUT)
        return found

    def findings(self) -> list[str]:
        """Return what axe finds, of any weight, with the first element that it is about."""
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}, {each['impact']}: {each['nodes'][0]['html'][:200]} ({len(each['nodes'])})" for each in found]

    def missed_by_tab(self) -> list[str]:
        """Return what is interactive and is not reached by the key Tab, in order and so that it is seen to be there."""
        expected = self.page.evaluate(_INTERACTIVE)
        self.page.evaluate("document.activeElement.blur()")
        stops: list[int] = []
        unseen: list[int] = []
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("Tab")
            stop, is_seen = self.page.evaluate(_FOCUS)
            if stop is None or stop in stops:
                break
            stops.append(stop)
            if not is_seen:
                unseen.append(stop)
        names = {number: f"{self._told(number)} is not reached" for number in expected if number not in stops}
        names |= {number: f"{self._told(number)} does not show it" for number in unseen}
        return [*names.values(), *([] if stops == sorted(stops) else ["order of stops is not that of the page"])]

    def _told(self, stop: int) -> str:
        if stop < 0:
            return "something that is not interactive"
        text: str = self.page.locator(f"[data-stop='{stop}']").evaluate("(one) => one.outerHTML.slice(0, 80)")
        return text

    def cut_in_print(self) -> list[str]:
        """Return what paper cuts: the page is laid out on A4, and charts stay as the screen drew them."""
        self.page.emulate_media(media="print")
        self.page.add_style_tag(content=f"body {{ width: {_PAPER}px; }}")
        outside = """(width) => [...document.body.querySelectorAll("*:not(svg *)")]
          .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > width + 1)
          .map((one) => one.tagName.toLowerCase() + (one.id ? "#" + one.id : "." + one.className))"""
        return [*self.page.evaluate(outside, _PAPER), *self.page.evaluate(_HIDDEN), *self.cut_texts()]


@contextmanager
def opened(browser: Browser, path: Path, *, scheme: str = "light", width: int = WIDE) -> Iterator[Opened]:
    """Give a page in a window of its own, of a width in CSS pixels and with a colour scheme, that may use the clipboard."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": _HEIGHT}, permissions=["clipboard-read", "clipboard-write"]
    )
    yield Opened(context.new_page(), path)
    context.close()
