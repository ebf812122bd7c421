"""What an output says about itself in ``nix-support``: build products, metrics, failure (Hydra's conventions)."""

import math
import re

import msgspec

from fc.nix.errors import FormatError
from fc.nix.storepath import HASH_LENGTH, STORE_DIR, parse_base_name

PRODUCTS_FILE = "nix-support/hydra-build-products"
METRICS_FILE = "nix-support/hydra-metrics"
FAILED_FILE = "nix-support/failed"
"""An output with this file counts as failed though it was built: ``failed_with_output``."""

_PRODUCT = re.compile(r'\s*([\w-]+)\s+([\w-]+)\s+("[^"]+"|[^\s"]+)(?:\s+(\S+))?\s*', re.ASCII)
_METRIC_NAME = re.compile(r"[\w.:/+-]{1,100}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_UNIT = re.compile(r"[\w%./*^-]{1,50}", re.ASCII)
_LONGEST_NAME = 255


class BuildProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A file or directory that people may want to download or look at."""

    type: str
    """Such as ``file``, ``doc``, ``report``."""
    subtype: str
    """Such as ``source-dist``, ``manual``, ``none``."""
    path: str
    """In the store: an output or something below one. Not checked to exist."""
    name: str
    """Last component of the path; of a whole store path the part after the hash."""
    default_path: str | None = None
    """What to show first, below ``path``, such as ``index.html``."""


class Metric(msgspec.Struct, frozen=True):
    """One measured value."""

    name: str
    value: float
    unit: str = ""


def parse_build_products(data: bytes) -> list[BuildProduct]:
    """The products in a ``hydra-build-products`` file: lines of ``type subtype path [default path]``.

    A path may stand in double quotes. Lines that follow another form, or name something outside the store,
    are skipped, as in Hydra.
    """
    products = []
    for line in _lines(data):
        match = _PRODUCT.fullmatch(line)
        if match is None:
            continue
        path = match[3].strip('"').rstrip("/")
        name = _product_name(path)
        default_path = match[4]
        if name is None or (default_path is not None and ".." in default_path.split("/")):
            continue
        products.append(
            BuildProduct(type=match[1], subtype=match[2], path=path, name=name, default_path=default_path),
        )
    return products


def parse_metrics(data: bytes) -> list[Metric]:
    """The metrics in a ``hydra-metrics`` file: lines of ``name value [unit]``, the last of each name.

    Lines that follow another form are skipped, as in Hydra.
    """
    metrics: dict[str, Metric] = {}
    for line in _lines(data):
        name, value, unit, *_ = [*line.split(), "", "", ""]
        if _METRIC_NAME.fullmatch(name) is None or (unit and _UNIT.fullmatch(unit) is None):
            continue
        if _NUMBER.fullmatch(value) is None or not math.isfinite(float(value)):
            continue
        metrics[name] = Metric(name, float(value), unit)
    return list(metrics.values())


def _lines(data: bytes) -> list[str]:
    """Lines of text; what is not UTF-8 is replaced, since it is stored and shown."""
    return data.decode("utf-8", "replace").replace("\0", "\ufffd").split("\n")


def _product_name(path: str) -> str | None:
    """The name of the product at ``path``; none if it is not in the store."""
    parts = path.split("/")
    directory, below = "/".join(parts[:3]), parts[3:]
    if directory != STORE_DIR or not below or not {"", ".", ".."}.isdisjoint(below):
        return None
    try:
        parse_base_name(below[0])
    except FormatError:
        return None
    name = below[-1] if len(below) > 1 else below[0][HASH_LENGTH + 1 :]
    return name if len(name) <= _LONGEST_NAME else None
