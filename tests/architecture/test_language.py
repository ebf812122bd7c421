"""What must not be in any file of the project: traces of the machine it was written on, and unfinished business."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each pattern is written so that it does not match itself.
FORBIDDEN = {
    "a directory of the machine this was written on": re.compile(r"(?<![\w.}/-])/(?:wor[k]|roo[t])/"),
    "a host name of a package registry": re.compile(
        r"pyp[i]\.org|python[h]osted\.org|registry\.npm[j]s|crat[e]s\.io|rubygem[s]\.org|prox[y]\.golang"
    ),
    "a note to do something later": re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b"),
    "an unfinished function": re.compile(r"\braise\s+NotImplemente[d]Error\b"),
}
BINARY = {".png", ".ico", ".woff2", ".gz", ".xz", ".nar"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    files = [ROOT / name for name in listed if name]
    assert files
    return [path for path in files if path.is_file() and path.suffix not in BINARY]


def complaints(name: str, text: str) -> list[str]:
    return [
        f"{name}:{number}: {what}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def test_no_file_carries_traces_or_unfinished_business() -> None:
    found = [
        complaint
        for path in tracked()
        for complaint in complaints(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "see /wor" + "k/main/x",
        'HOME = "/roo' + 't/.cache"',
        "https://pyp" + "i.org/simple",
        "# TOD" + "O: later",
        "raise NotImplemente" + "dError",
    ],
)
def test_a_trace_is_found(line: str) -> None:
    assert complaints("file", line)


@pytest.mark.parametrize(
    "line", ["/root", "network/", "fc/work.py", "the roots/ of it", "{data}/root/x", "home/work/x"]
)
def test_an_innocent_line_is_left_alone(line: str) -> None:
    assert complaints("file", line) == []
