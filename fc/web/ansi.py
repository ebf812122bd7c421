"""Terminal output as safe HTML: colours become classes, everything else becomes text.

Log lines are hostile input. Every character is escaped; of the control sequences (ECMA-48) only "select
graphic rendition" has an effect, all others vanish, and so do characters that reorder text.
"""

import re
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]{0,64})m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other control sequence
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # operating system commands and other strings
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes, or a lone ESC
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_STATE = re.compile(r"(?:f(?P<fg>\d{1,2}))?(?:g(?P<bg>\d{1,2}))?(?P<flags>[bdiuv]*)")

_BASIC = 8
_SYSTEM = 16
_CUBE_END = 232
_BRIGHT = 0x80
_DIM = 0x40

_FLAG_ON = {1: "b", 2: "d", 3: "i", 4: "u", 7: "v"}
_FLAG_OFF = {22: "bd", 23: "i", 24: "u", 27: "v"}
_COLOURS = range(_BASIC)
_FOREGROUND: dict[int, int | None] = (
    {30 + n: n for n in _COLOURS} | {90 + n: n + _BASIC for n in _COLOURS} | {39: None}
)
_BACKGROUND: dict[int, int | None] = (
    {40 + n: n for n in _COLOURS} | {100 + n: n + _BASIC for n in _COLOURS} | {49: None}
)

LONGEST_LINE = 4000
"""Characters of one line that are shown; the rest is in the raw log."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a terminal has been told about the text that follows."""

    foreground: int | None = None
    """One of the sixteen colours; likewise ``background``."""
    background: int | None = None
    flags: str = ""
    """Sorted letters: bold, dim, italic, underlined, (in)verse as ``v``."""

    def dump(self) -> str:
        """The style as a short word, for cursors."""
        fg = "" if self.foreground is None else f"f{self.foreground}"
        bg = "" if self.background is None else f"g{self.background}"
        return f"{fg}{bg}{self.flags}"

    @classmethod
    def load(cls, word: str) -> "Style":
        """The style that ``dump`` wrote; a plain one when ``word`` is anything else."""
        found = _STATE.fullmatch(word)
        if found is None:
            return cls()
        fg, bg = found["fg"], found["bg"]
        return cls(
            foreground=int(fg) % _SYSTEM if fg else None,
            background=int(bg) % _SYSTEM if bg else None,
            flags="".join(sorted(set(found["flags"]))),
        )

    def classes(self) -> str:
        """Classes of the stylesheet."""
        names = [f"a-{flag}" for flag in self.flags]
        if self.foreground is not None:
            names.append(f"a-f{self.foreground}")
        if self.background is not None:
            names.append(f"a-g{self.background}")
        return " ".join(names)


def render_line(line: str, style: Style) -> tuple[Markup, Style]:
    """One line without its line end as HTML, and the style the next line begins with."""
    # What stands before a carriage return was overwritten on a terminal.
    text = line.rstrip("\r").rpartition("\r")[2]
    parts: list[Markup] = []
    room = LONGEST_LINE
    position = 0
    for found in _SEQUENCE.finditer(text):
        room = _append(parts, text[position : found.start()], style, room)
        position = found.end()
        if found["sgr"] is not None:
            style = _select(style, found["sgr"])
    room = _append(parts, text[position:], style, room)
    if room < 0:
        parts.append(Markup(' <span class="cut">… {} more characters</span>').format(-room))
    return Markup().join(parts), style


def plain(text: str) -> str:
    """``text`` without control sequences, for titles and one-line messages."""
    return _UNPRINTABLE.sub("", _SEQUENCE.sub("", text).replace("\n", " ").replace("\t", " "))


def plain_lines(text: str) -> str:
    """``text`` without control sequences, its lines as they are."""
    return "\n".join(_UNPRINTABLE.sub("", line) for line in _SEQUENCE.sub("", text).splitlines())


def last_line(text: str) -> str:
    """The last line of ``text`` that says something, plain: where Nix puts its conclusion."""
    lines = [line.strip() for line in plain_lines(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _append(parts: list[Markup], text: str, style: Style, room: int) -> int:
    """Add ``text`` while there is room; the room left, below zero when something was cut."""
    clean = _UNPRINTABLE.sub("\ufffd", text)
    shown = clean[: max(room, 0)]
    if shown:
        classes = style.classes()
        parts.append(
            Markup('<span class="{}">{}</span>').format(classes, shown) if classes else escape(shown)
        )
    return room - len(clean)


def _select(style: Style, parameters: str) -> Style:
    """Apply one SGR sequence. Unknown parameters do nothing."""
    codes = [int(code) if code else 0 for code in re.split("[;:]", parameters)]
    index = 0
    while index < len(codes):
        code = codes[index]
        if code in {38, 48}:
            colour, used = _extended(codes[index + 1 :])
            index += used
            if colour is not None:
                style = replace(style, foreground=colour) if code == 38 else replace(style, background=colour)  # noqa: PLR2004 - ECMA-48's number for the foreground
        else:
            style = _simple(style, code)
        index += 1
    return style


def _simple(style: Style, code: int) -> Style:
    if code == 0:
        return Style()
    if code in _FLAG_ON:
        return replace(style, flags="".join(sorted({*style.flags, _FLAG_ON[code]})))
    if code in _FLAG_OFF:
        return replace(style, flags="".join(flag for flag in style.flags if flag not in _FLAG_OFF[code]))
    if code in _FOREGROUND:
        return replace(style, foreground=_FOREGROUND[code])
    if code in _BACKGROUND:
        return replace(style, background=_BACKGROUND[code])
    return style


def _extended(codes: list[int]) -> tuple[int | None, int]:
    """The colour that follows 38 or 48, as the nearest of sixteen, and how many codes it took."""
    match codes:
        case [5, number, *_]:
            return _nearest_of_256(number), 2
        case [2, red, green, blue, *_]:
            return _nearest(red, green, blue), 4
        case _:
            return None, len(codes)


def _nearest_of_256(number: int) -> int | None:
    if number < _SYSTEM:
        return number
    if number < _CUBE_END:
        cube = number - _SYSTEM
        return _nearest(*(level * 51 for level in (cube // 36, cube // 6 % 6, cube % 6)))
    if number < 256:  # noqa: PLR2004 - that many colours there are
        grey = (number - _CUBE_END) * 10 + 8
        return _nearest(grey, grey, grey)
    return None


def _nearest(red: int, green: int, blue: int) -> int:
    """The colour of sixteen with the same strong channels."""
    strongest = max(red, green, blue)
    if strongest < _DIM:
        return 0
    bits = sum(bit for bit, channel in ((1, red), (2, green), (4, blue)) if channel * 2 > strongest)
    if bits == 7 and strongest < 0xD0:  # noqa: PLR2004 - greys are black's bright twin or white
        return 8 if strongest < _BRIGHT else 7
    return bits + (_BASIC if strongest > 0xD0 else 0)  # noqa: PLR2004 - as above
