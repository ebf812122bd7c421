"""Bad configuration: 200 errors in 100 files, all found at their lines; and 40,000 mutated files that must not raise.

Prints one line of JSON for each. The mutations are the same in every run; the run ends by itself when its time is up.
"""

import json
import random
import time
from pathlib import Path

from fc.base.problems import Problem
from fc.config.compile import Compiled, compile_fragments
from fc.config.load import read_fragment
from tests.support.configuration import WHOLE
from tests.support.large_configuration import large_files

_FILES = 200
_WANTED = 40_000
_LONGEST_SECONDS = 120.0
_PIECES = (
    b":", b"- ", b"{", b"}", b"[", b"]", b"'", b'"', b"&a ", b"*a", b"<<: *a", b"!secret ", b"!!binary ", b"|\n", b">-\n",
    b"\t", b"\n", b"\r\n", b"---\n", b"...\n", b"%YAML 1.1\n", b"#", b"? ", b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf",
    b"\xee\x97\x8e", b"null", b"true", b"0x7f", b"1e999", b"99999999999999999999", b".nan", b"~", b"@", b"`", b"  ",
    "é".encode(), "\u2028".encode(), "\U0001f600".encode(), b"projects:\n", b"enabled: ", b"a" * 5000, b"[" * 40, b"{a: " * 40,
)  # fmt: skip


def _compile(files: dict[str, bytes]) -> Compiled:
    return compile_fragments(read_fragment(name, "", data) for name, data in sorted(files.items()))


def _errors() -> dict[str, object]:
    """Two errors in every other file, of which one is a reference that only the whole configuration shows as wrong."""
    clean = large_files(_FILES)
    broken = dict(clean)
    expected = set()
    for name in sorted(clean)[::2]:
        lines = clean[name].splitlines()
        first = next(index for index, line in enumerate(lines) if line.startswith("        branch:"))
        lines[first] = lines[first].replace("branch", "brnach")
        last = next(index for index, line in enumerate(lines) if "config: {builders: [" in line)
        lines[last] = lines[last].replace("builders: [builder", "builders: [bulider")
        broken[name] = "\n".join(lines)
        expected |= {(name, first + 1), (name, last + 1)}
    seconds = {}
    for label, files in (("clean", clean), ("broken", broken), ("clean", clean), ("broken", broken)):
        data = {name: text.encode() for name, text in files.items()}
        began = time.perf_counter()
        compiled = _compile(data)
        seconds[label] = time.perf_counter() - began
    return {
        "benchmark": "configuration_errors",
        "errors": len(expected),
        "reported_at_the_right_lines": len({(one.file, one.line) for one in compiled.problems} & expected),
        "reported": len(compiled.problems),
        "clean_seconds": round(seconds["clean"], 3),
        "broken_seconds": round(seconds["broken"], 3),
        "extra_seconds": round(seconds["broken"] - seconds["clean"], 3),
    }


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """``data`` after one to eight slips, some small and some wild."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + int(chance.paretovariate(1)))
        match chance.randrange(6):
            case 0:
                changed[at:end] = b""
            case 1:
                changed[at:at] = chance.choice(_PIECES)
            case 2:
                changed[at:end] = chance.choice(_PIECES)
            case 3:
                changed[at:at] = changed[at:end] * chance.randint(1, 20)
            case 4:
                lines = changed.splitlines(keepends=True)
                chance.shuffle(lines)
                changed = bytearray(b"".join(lines)) if chance.random() < 0.1 else changed
            case _:
                changed[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
    return bytes(changed)


def _check(problem: Problem, data: bytes) -> None:
    """A place an editor can go to."""
    # What libyaml and editors count as the end of a line, beside the usual: NEL and the Unicode separators.
    last = len(data.decode(errors="replace").splitlines()) + 1
    assert problem.message, problem
    assert 1 <= problem.line <= last, (problem, last)
    assert problem.column >= 1, problem
    assert problem.message.isprintable() or "\n" not in problem.message, problem


def _fuzz() -> dict[str, object]:
    chance = random.Random(2026)
    examples = sorted(Path(__file__).parents[1].glob("examples/**/*.yaml"))
    seeds = [
        WHOLE.encode(),
        *(path.read_bytes() for path in examples),
        next(iter(large_files(1).values())).encode(),
    ]
    began = time.perf_counter()
    done = refused = slowest = 0.0
    while done < _WANTED and time.perf_counter() - began < _LONGEST_SECONDS:
        data = _mutated(chance.choice(seeds), chance)
        start = time.perf_counter()
        try:
            compiled = _compile({"fc.yaml": data})
            for problem in compiled.problems:
                _check(problem, data)
        except Exception:
            # What is to be looked into; the run fails.
            Path("fuzz-failure.yaml").write_bytes(data)
            print("a file that raises was written to fuzz-failure.yaml")
            raise
        slowest = max(slowest, time.perf_counter() - start)
        refused += bool(compiled.problems)
        done += 1
    return {
        "benchmark": "configuration_fuzz",
        "files": int(done),
        "refused_with_places": int(refused),
        "accepted": int(done - refused),
        "raised": 0,
        "slowest_ms": round(1000 * slowest),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    """Measure and print."""
    print(json.dumps(_errors()))
    print(json.dumps(_fuzz()))


if __name__ == "__main__":
    main()
