"""What the demo shows in the terminal: live progress, then the table of what was built where."""

from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from fc.base.durations import format_duration
from fc.cli.demo.service import Build

_STYLES = {"succeeded": "green", "pending": "dim", "running": "cyan"}
_MARKS = {"succeeded": "✓", "pending": "·", "running": "▸"}


class Show:
    """Live progress on a terminal; one line for each change elsewhere."""

    def __init__(self, console: Console, expected: Mapping[str, str]) -> None:
        self.console = console
        self._expected = dict(expected)
        self._live: Live | None = None
        self._step = ""
        self._builds: Sequence[Build] = ()
        self._seen: dict[str, str] = {}

    def step(self, text: str) -> None:
        """Say what happens now."""
        self._step = text
        if self.console.is_terminal:
            self._refresh()
        else:
            self.console.print(f"▸ {text}")

    def done(self, text: str) -> None:
        """Say what has happened; it stays on the screen."""
        self.console.print(Text.assemble(("✓ ", "green"), text))

    def expect(self, expected: Mapping[str, str]) -> None:
        """From now on these results are expected."""
        self._expected = dict(expected)

    def builds(self, builds: Sequence[Build]) -> None:
        """Show the state of every build."""
        self._builds = builds
        for build in builds:
            if self._seen.get(build.key) != build.status:
                self._seen[build.key] = build.status
                if not self.console.is_terminal:
                    self.console.print(
                        f"  {_mark(build.status)} {build.key} {build.status} {build.builder or ''}".rstrip()
                    )
        if self.console.is_terminal:
            self._refresh()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=10, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self) -> Table:
        """What was built where, with what result."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("project", "jobset", "job", "result", "expected", "built on", "took"):
            table.add_column(name, justify="right" if name == "took" else "left", no_wrap=True)
        for build in sorted(self._builds, key=lambda build: build.key):
            wanted = self._expected.get(build.key)
            verdict = (
                Text("as expected", "dim") if wanted == build.status else Text(f"not {wanted}", "bold red")
            )
            table.add_row(
                build.project,
                build.jobset,
                build.job,
                _status(build.status),
                verdict if build.status not in {"pending", "running"} else Text(wanted or "-", "dim"),
                build.builder or "-",
                format_duration(build.seconds) if build.seconds is not None else "-",
            )
        return table

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(
                Group(self.table() if self._builds else Text(""), Spinner("dots", text=self._step))
            )


def _mark(status: str) -> str:
    return _MARKS.get(status, "✗")


def _status(status: str) -> Text:
    return Text(f"{_mark(status)} {status.replace('_', ' ')}", _STYLES.get(status, "red"))
