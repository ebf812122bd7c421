"""The text format that Prometheus reads, version 0.0.4."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples: labels and a value each."""

    name: str
    kind: str
    """``gauge`` or ``counter``."""
    about: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """One more sample."""
        self.samples.append((labels, value))


def expose(families: Iterable[Family]) -> str:
    """Metrics in the text format that Prometheus reads."""
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {family.about}", f"# TYPE {family.name} {family.kind}"]
        for labels, value in family.samples:
            named = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
            lines.append(
                f"{family.name}{{{named}}} {_number(value)}" if named else f"{family.name} {_number(value)}"
            )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: Any) -> str:
    return f"{float(value):.15g}"
