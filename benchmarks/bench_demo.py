"""The demo, as a newcomer waits for it: first build visible, everything done, second push to building.

Prints one line of JSON, in seconds since the command began; the last is since git push.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fc.cli.demo.run import remove_tree

_FIGURES = {
    "serving": r"FC serves at \S+ after ([\d.]+) s",
    "first_build_visible": r"the first builds were visible after ([\d.]+) s",
    "second_push_to_building": r"the new jobset was building ([\d.]+) s",
}


def main() -> None:
    """Measure and print."""
    directory = Path(tempfile.mkdtemp(prefix="fc-bench-demo-"))
    began = time.perf_counter()
    demo = subprocess.run(
        [sys.executable, "-m", "fc", "demo", "--exit-when-done", "--directory", str(directory / "demo")],
        check=False,
        capture_output=True,
        text=True,
    )
    whole = time.perf_counter() - began
    remove_tree(directory)
    figures = {
        name: float(found.group(1))
        for name, rule in _FIGURES.items()
        if (found := re.search(rule, demo.stdout))
    }
    print(json.dumps({"benchmark": "demo", "status": demo.returncode, **figures, "whole": round(whole, 1)}))


if __name__ == "__main__":
    main()
