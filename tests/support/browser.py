"""A real Chromium, driven by Playwright, that remembers everything a page complained about."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def chromium_path() -> str:
    """Where Chromium is; a test that needs it fails without, and says what to install."""
    for program in _PROGRAMS:
        if found := shutil.which(program):
            return found
    pytest.fail(
        "Chromium is not installed, and these tests drive a real browser: apt-get install chromium ('make test' does so)"
    )


def screenshots(fallback: Path) -> Path:
    """Where screenshots go: ``FC_SCREENSHOTS``, or ``fallback``."""
    directory = Path(os.environ.get("FC_SCREENSHOTS") or fallback)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def every_picture() -> bool:
    """Whether somebody wants to look at every page: pictures take a third of the time of these tests."""
    return "FC_SCREENSHOTS" in os.environ


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser of this block's own."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Watched:
    """A page, and what went wrong on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@asynccontextmanager
async def watched_page(browser: Browser, base: str, **context: Any) -> AsyncIterator[Watched]:
    """A page in a context of its own, whose errors, violations and foreign requests are written down."""
    opened = await browser.new_context(base_url=base, **context)
    page = await opened.new_page()
    watched = Watched(page)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            watched.complaints.append(f"{page.url}: console {message.type}: {message.text}")

    def on_request(request: Request) -> None:
        if not request.url.startswith((base, "data:")):
            watched.complaints.append(f"{page.url}: asked {request.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: watched.complaints.append(f"{page.url}: {error}"))
    page.on("request", on_request)
    try:
        yield watched
    finally:
        await opened.close()
