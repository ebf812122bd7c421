"""Log files of builds: windows of lines, and cursors to read on from. Never a whole file in memory."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from fc.web.ansi import Style, render_line

_BLOCK = 1 << 20
_MOST_BYTES = 1 << 19
"""Of one window."""
_LONGEST_RAW_LINE = 1 << 16
"""Bytes of one line that are looked at; a line that goes on is cut there."""
CHUNK = 1 << 15
"""Bytes that one step of reading on takes at most."""
_PLAIN = Style()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as it is shown."""

    number: int
    """From 1."""
    html: Markup


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where reading goes on. Survives as a word: ``<file>.<offset>.<line>.<style>``."""

    file: str
    """Tells one attempt's log from the next one's."""
    offset: int = 0
    """Bytes."""
    line: int = 1
    """Number of the line that begins there."""
    style: Style = _PLAIN

    def dump(self) -> str:
        """The cursor as a word."""
        return f"{self.file}.{self.offset}.{self.line}.{self.style.dump()}"

    @classmethod
    def load(cls, word: str, file: str) -> "Cursor":
        """The cursor that ``dump`` wrote for the same file; else its beginning. A bare number is an offset."""
        parts = word.split(".")
        if word.isascii() and word.isdigit() and len(word) < 16:  # noqa: PLR2004 - far beyond any file
            return cls(file, int(word))
        match parts:
            case [name, offset, line, style] if name == file and _is_number(offset) and _is_number(line):
                return cls(file, int(offset), int(line), Style.load(style))
            case _:
                return cls(file)


@dataclass(frozen=True, slots=True)
class LogWindow:
    """Some lines of a log, one after another."""

    lines: list[LogLine]
    total: int
    """Lines of the whole log as it was; an unfinished last one counts only where it is shown."""
    size: int
    """Bytes of the whole log as it was."""
    cursor: Cursor
    """After the last line of the window."""

    @property
    def first(self) -> int:
        """Number of its first line; 1 when it is empty."""
        return self.lines[0].number if self.lines else 1

    @property
    def last(self) -> int:
        """Number of its last line; 0 when it is empty."""
        return self.lines[-1].number if self.lines else 0


def file_token(log_path: str) -> str:
    """A short word for the log at ``log_path``."""
    return hashlib.sha256(log_path.encode()).hexdigest()[:8]


def locate(data_dir: Path, log_path: str) -> Path | None:
    """Where a log is or will be; none when it would lie outside the directory of logs."""
    directory = (data_dir / "logs").resolve()
    path = (data_dir / log_path).resolve()
    return path if path.is_relative_to(directory) else None


def read_tail(path: Path, token: str, *, lines: int, whole: bool) -> LogWindow | None:
    """The last ``lines`` lines; none when there is no file.

    Args:
        path: the file.
        token: what its cursors are marked with.
        lines: how many.
        whole: also a last line that has no end yet, because nothing will be added.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size - _MOST_BYTES)
            file.seek(start)
            text = file.read(size - start)
            if start:
                cut = text.find(b"\n") + 1
                start, text = start + cut, text[cut:]
            before = _count_lines(path, start)
    except OSError:
        return None
    end = len(text) if whole else text.rfind(b"\n") + 1
    offsets = _last_lines(text[:end], lines)
    skipped = text.count(b"\n", 0, offsets)
    cursor = Cursor(token, start + offsets, before + skipped + 1)
    shown, after = _render(text[offsets:end], cursor)
    total = before + text.count(b"\n") + (1 if whole and text and not text.endswith(b"\n") else 0)
    return LogWindow(lines=shown, total=total, size=size, cursor=after)


def read_window(path: Path, token: str, *, first: int, count: int, whole: bool) -> LogWindow | None:
    """``count`` lines from number ``first`` on; none when there is no file. ``whole``: as for the tail."""
    try:
        size, total, start = path.stat().st_size, 0, 0
        with path.open("rb") as file:
            ended = True
            while block := file.read(_BLOCK):
                newlines = block.count(b"\n")
                if total < first - 1 <= total + newlines:
                    start = file.tell() - len(block) + _after_newline(block, first - 1 - total)
                total += newlines
                ended = block.endswith(b"\n")
            file.seek(start)
            text = file.read(_MOST_BYTES)
    except OSError:
        return None
    total += 1 if whole and not ended else 0
    if first > total:
        return LogWindow(lines=[], total=total, size=size, cursor=Cursor(token, size, total + 1))
    end = min(_after_newline(text, count), len(text) if whole else text.rfind(b"\n") + 1)
    shown, after = _render(text[:end], Cursor(token, start, first))
    return LogWindow(lines=shown, total=total, size=size, cursor=after)


def read_on(path: Path, cursor: Cursor, *, whole: bool) -> tuple[list[LogLine], Cursor]:
    """The finished lines after ``cursor``, at most a chunk of them, and where to go on.

    A cursor beyond the end of the file begins again: the file is another one. With ``whole``, a last line
    without an end is given too.
    """
    try:
        with path.open("rb") as file:
            if cursor.offset > file.seek(0, 2):
                cursor = Cursor(cursor.file)
            file.seek(cursor.offset)
            text = file.read(CHUNK)
    except OSError:
        return [], cursor
    end = text.rfind(b"\n") + 1
    if whole and len(text) < CHUNK:
        end = len(text)
    elif not end and len(text) == CHUNK:
        # One line fills a chunk: it is shown in pieces rather than waited for.
        end = len(text)
    return _render(text[:end], cursor)


def _render(text: bytes, cursor: Cursor) -> tuple[list[LogLine], Cursor]:
    """Every line of ``text``, which stands at ``cursor``."""
    lines: list[LogLine] = []
    style = cursor.style
    for raw in text.split(b"\n")[: -1 if text.endswith(b"\n") or not text else None]:
        html, style = render_line(raw[:_LONGEST_RAW_LINE].decode("utf-8", "replace"), style)
        lines.append(LogLine(cursor.line + len(lines), html))
    return lines, replace(
        cursor, offset=cursor.offset + len(text), line=cursor.line + len(lines), style=style
    )


def _last_lines(text: bytes, lines: int) -> int:
    """Where the last ``lines`` lines of ``text`` begin."""
    position = len(text) - 1 if text.endswith(b"\n") else len(text)
    for _ in range(lines):
        position = text.rfind(b"\n", 0, position)
        if position < 0:
            return 0
    return position + 1


def _after_newline(text: bytes, number: int) -> int:
    """The offset after the line end ``number`` of ``text``; its length when there are fewer."""
    position = 0
    for _ in range(number):
        found = text.find(b"\n", position)
        if found < 0:
            return len(text)
        position = found + 1
    return position


def _count_lines(path: Path, end: int) -> int:
    """Line ends before the offset ``end``."""
    lines = 0
    with path.open("rb") as file:
        while end > 0 and (block := file.read(min(_BLOCK, end))):
            lines += block.count(b"\n")
            end -= len(block)
    return lines


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 16  # noqa: PLR2004 - far beyond any file
