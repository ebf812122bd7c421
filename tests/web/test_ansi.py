"""Terminal output as safe HTML."""

import pytest

from fc.web.ansi import LONGEST_LINE, Style, plain, render_line


def html(line: str, style: Style | None = None) -> str:
    return str(render_line(line, style or Style())[0])


def test_markup_in_a_log_is_text() -> None:
    assert (
        html('<script>alert("x")</script> & \'')
        == "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp; &#39;"
    )


def test_markup_inside_colours_is_text() -> None:
    assert html("\x1b[31m<b>\x1b[0m<i>") == '<span class="a-f1">&lt;b&gt;</span>&lt;i&gt;'


def test_a_colour_lasts_into_the_next_line() -> None:
    first, style = render_line("\x1b[1;32mone", Style())
    second, after = render_line("two\x1b[m three", style)
    assert first == '<span class="a-b a-f2">one</span>'
    assert second == '<span class="a-b a-f2">two</span> three'
    assert after == Style()


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        ("91", "a-f9"),
        ("44", "a-g4"),
        ("103", "a-g11"),
        ("38;5;12", "a-f12"),
        ("38;5;196", "a-f9"),
        ("48;5;232", "a-g0"),
        ("38;5;250", "a-f7"),
        ("38;2;0;0;120", "a-f4"),
        ("38;2;255;255;255", "a-f15"),
        ("38;2;100;100;100", "a-f8"),
        ("4;3", "a-i a-u"),
        ("2", "a-d"),
        ("7", "a-v"),
    ],
)
def test_renditions_become_classes(code: str, classes: str) -> None:
    assert html(f"\x1b[{code}mx") == f'<span class="{classes}">x</span>'


@pytest.mark.parametrize(
    "codes", ["31;39", "41;49", "1;22", "3;23", "4;24", "7;27", "38;5;999", "38;9", "48", "73", "31;0"]
)
def test_renditions_that_cancel_or_mean_nothing_leave_plain_text(codes: str) -> None:
    assert html(f"\x1b[{codes}mx") == "x"


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2K",
        "\x1b[10;20H",
        "\x1b[?25l",
        "\x1b]0;title\x07",
        "\x1b]8;;javascript:alert(1)\x1b\\",
        "\x1b(B",
        "\x1bc",
        "\x1bPq#0\x1b\\",
    ],
)
def test_other_control_sequences_vanish(sequence: str) -> None:
    assert html(f"a{sequence}b") == "ab"


def test_an_unfinished_sequence_vanishes() -> None:
    assert html("a\x1b") == "a"
    assert html("a\x1b]0;never ends") == "a"


def test_a_monstrous_sequence_does_no_harm() -> None:
    assert html("a\x1b[" + "9" * 100_000 + "mb") == "ab"


def test_only_what_follows_the_last_carriage_return_is_seen() -> None:
    assert html("10 %\r50 %\r100 %\r") == "100 %"


def test_characters_that_reorder_text_are_made_visible() -> None:
    assert html("a\u202eb\u2066c\x00") == "a\ufffdb\ufffdc\ufffd"


def test_a_long_line_is_cut_and_says_so() -> None:
    assert html("x" * (LONGEST_LINE + 7)).endswith('x <span class="cut">… 7 more characters</span>')


@pytest.mark.parametrize(
    "style", [Style(), Style(foreground=12), Style(1, 2, "bu"), Style(background=0, flags="d")]
)
def test_a_style_survives_a_cursor(style: Style) -> None:
    assert Style.load(style.dump()) == style


@pytest.mark.parametrize("word", ["<", "f999", "zzz", "f1g2x"])
def test_a_forged_style_is_plain(word: str) -> None:
    assert Style.load(word) == Style()


def test_plain_text_has_no_control_sequences() -> None:
    assert plain("\x1b[31merror:\x1b[0m bad\nthing\x07") == "error: bad thing"
