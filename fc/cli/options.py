"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

settings_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="FC_SETTINGS_FILE",
    show_envvar=True,
    help="Settings file (fc.example.yaml shows every setting). FC_<SECTION>__<KEY> variables override it.",
)
"""``--settings FILE``, given to the command as ``settings_file``."""

source_argument: Callable[[Callable[..., Any]], Callable[..., Any]] = click.argument("source", required=False)
"""``[SOURCE]``, a configuration source by name."""
