"""Windows of log lines, and cursors to read on from."""

from pathlib import Path

import pytest

from fc.web.ansi import Style
from fc.web.log_files import CHUNK, Cursor, LogWindow, file_token, locate, read_on, read_tail, read_window

TOKEN = file_token("logs/ab/c.log")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.log"


def tail(path: Path, lines: int = 10, *, whole: bool = True) -> LogWindow:
    window = read_tail(path, TOKEN, lines=lines, whole=whole)
    assert window is not None
    return window


def texts(window: LogWindow) -> list[tuple[int, str]]:
    return [(line.number, str(line.html)) for line in window.lines]


def test_a_tail_has_the_last_lines_with_their_numbers(path: Path) -> None:
    path.write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    window = tail(path, 3)
    assert texts(window) == [(998, "line 998"), (999, "line 999"), (1000, "line 1000")]
    assert (window.first, window.last, window.total, window.size) == (998, 1000, 1000, path.stat().st_size)


def test_numbers_are_right_in_the_tail_of_a_log_larger_than_a_window(path: Path) -> None:
    with path.open("w") as file:
        for number in range(1, 200_001):
            file.write(f"this is the line with the number {number}\n")
    window = tail(path, 2)
    assert texts(window)[-1] == (200_000, "this is the line with the number 200000")
    assert window.total == 200_000


def test_a_line_that_is_still_written_waits(path: Path) -> None:
    path.write_text("done\nhalf")
    assert texts(tail(path, whole=False)) == [(1, "done")]
    assert tail(path, whole=False).total == 1
    assert texts(tail(path)) == [(1, "done"), (2, "half")]


@pytest.mark.parametrize("whole", [True, False])
def test_an_empty_log_has_no_lines(path: Path, whole: bool) -> None:
    path.write_text("")
    window = tail(path, whole=whole)
    assert (window.lines, window.first, window.last, window.total) == ([], 1, 0, 0)


def test_a_missing_log_is_none(path: Path) -> None:
    assert read_tail(path, TOKEN, lines=1, whole=True) is None
    assert read_window(path, TOKEN, first=1, count=1, whole=True) is None
    assert read_on(path, Cursor(TOKEN), whole=True) == ([], Cursor(TOKEN))


def test_reading_on_from_a_tail_gives_what_was_written_since(path: Path) -> None:
    path.write_text("one\n\x1b[31mtwo\n")
    cursor = tail(path, 1, whole=False).cursor
    with path.open("a") as file:
        file.write("three\nfo")
    lines, after = read_on(path, cursor, whole=False)
    assert [(line.number, str(line.html)) for line in lines] == [(3, '<span class="a-f1">three</span>')]
    assert read_on(path, after, whole=False) == ([], after)
    lines, _ = read_on(path, after, whole=True)
    assert [(line.number, str(line.html)) for line in lines] == [(4, '<span class="a-f1">fo</span>')]


def test_a_cursor_survives_as_a_word() -> None:
    cursor = Cursor(TOKEN, 812, 40, Style(foreground=2, flags="b"))
    assert Cursor.load(cursor.dump(), TOKEN) == cursor


@pytest.mark.parametrize(
    "word", ["", "x", "other.5.2.", f"{TOKEN}.-1.2.", f"{TOKEN}.1.x.", f"{TOKEN}.1", "9" * 40]
)
def test_a_cursor_of_another_file_or_of_none_begins_anew(word: str) -> None:
    assert Cursor.load(word, TOKEN) == Cursor(TOKEN)


def test_a_bare_number_is_an_offset() -> None:
    assert Cursor.load("812", TOKEN).offset == 812


def test_a_cursor_beyond_the_end_begins_again(path: Path) -> None:
    path.write_text("new\n")
    lines, _ = read_on(path, Cursor(TOKEN, offset=500, line=77), whole=False)
    assert [(line.number, str(line.html)) for line in lines] == [(1, "new")]


def test_one_step_reads_no_more_than_a_chunk(path: Path) -> None:
    path.write_text("0123456789abcde\n" * (CHUNK // 4))
    cursor, seen, steps = Cursor(TOKEN), 0, 0
    while True:
        lines, after = read_on(path, cursor, whole=False)
        if not lines:
            break
        assert after.offset - cursor.offset <= CHUNK
        seen, steps, cursor = seen + len(lines), steps + 1, after
    assert (seen, steps) == (CHUNK // 4, 4)


def test_an_endless_line_comes_in_pieces(path: Path) -> None:
    path.write_text("x" * (CHUNK + 10))
    lines, cursor = read_on(path, Cursor(TOKEN), whole=False)
    assert len(lines) == 1
    assert cursor.offset == CHUNK


@pytest.mark.parametrize(("first", "numbers"), [(1, [1, 2]), (3, [3, 4]), (5, [5]), (6, [])])
def test_a_window_begins_at_its_line(path: Path, first: int, numbers: list[int]) -> None:
    path.write_text("a\nb\nc\nd\ne")
    window = read_window(path, TOKEN, first=first, count=2, whole=True)
    assert window is not None
    assert [line.number for line in window.lines] == numbers
    assert [str(line.html) for line in window.lines] == ["abcde"[number - 1] for number in numbers]
    assert window.total == 5


def test_a_window_of_a_growing_log_ends_with_its_last_finished_line(path: Path) -> None:
    path.write_text("a\nb\nhalf")
    window = read_window(path, TOKEN, first=1, count=9, whole=False)
    assert window is not None
    assert [str(line.html) for line in window.lines] == ["a", "b"]
    assert (window.total, window.cursor.offset, window.cursor.line) == (2, 4, 3)


def test_lines_far_into_a_large_log_are_found(path: Path) -> None:
    with path.open("w") as file:
        for number in range(1, 150_001):
            file.write(f"{number} ................\n")
    window = read_window(path, TOKEN, first=100_001, count=3, whole=True)
    assert window is not None
    assert [str(line.html).split()[0] for line in window.lines] == ["100001", "100002", "100003"]


def test_bytes_that_are_no_text_are_shown_as_such(path: Path) -> None:
    path.write_bytes(b"caf\xc3\xa9 \xff\n")
    assert texts(tail(path)) == [(1, "café \ufffd")]


def test_a_log_is_looked_for_in_the_directory_of_logs_only(tmp_path: Path) -> None:
    assert locate(tmp_path, "logs/ab/x.log") == tmp_path / "logs/ab/x.log"
    for outside in ("fc.yaml", "logs/../secret", "/etc/passwd", "../x"):
        assert locate(tmp_path, outside) is None
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/link").symlink_to("/etc")
    assert locate(tmp_path, "logs/link/passwd") is None
