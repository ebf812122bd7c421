"""What the outputs of a build offer: products, metrics, a word of failure; read from the head's store."""

import hashlib
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from fc.base.nix_cli import Nix
from fc.build.settle import Output, Product
from fc.nix.path_info import PathInfo
from fc.nix.products import (
    FAILED_FILE,
    METRICS_FILE,
    PRODUCTS_FILE,
    BuildProduct,
    Metric,
    parse_build_products,
    parse_metrics,
)
from fc.nix.storepath import STORE_DIR, parse_store_path

_LARGEST_LIST = 1 << 20
"""Bytes read of a list of products or metrics."""
_MOST_PRODUCTS = 500
_MOST_METRICS = 500
_LARGEST_HASHED = 2 << 30
"""Files beyond this are offered without a hash."""
_MOST_LINKS = 40
_CONTENT_TYPE = 100
_NAME = 255


class Finds(msgspec.Struct, frozen=True):
    """What was found in the outputs of one build."""

    products: tuple[Product, ...]
    metrics: tuple[Metric, ...]
    failed: bool
    """An output says of itself that it is a failure."""


def read_finds(
    nix: Nix, outputs: Sequence[Output], infos: Mapping[str, PathInfo], roots: Mapping[str, Path]
) -> Finds:
    """Look into ``outputs``, which are in the store. Reads and hashes files: not for the event loop's thread.

    A build that lists no products offers its outputs themselves, as Hydra has it.

    Args:
        nix: whose store it is.
        outputs: all outputs of one derivation.
        infos: what the store knows of them.
        roots: garbage collector root of each that has one.
    """
    store = _Store(nix)
    products: list[Product] = []
    metrics: dict[str, Metric] = {}
    failed = False
    paths = {output.path for output in outputs}
    for output in outputs:
        listed = parse_build_products(store.read(f"{output.path}/{PRODUCTS_FILE}"))
        for said in listed[:_MOST_PRODUCTS]:
            found = _product(store, said, paths, roots)
            if found is not None:
                products.append(found)
        for metric in parse_metrics(store.read(f"{output.path}/{METRICS_FILE}"))[:_MOST_METRICS]:
            metrics[metric.name] = metric
        failed = failed or store.resolve(f"{output.path}/{FAILED_FILE}") is not None
    if not products:
        products = [_itself(store, output, infos, roots) for output in outputs]
    size = float(sum(info.nar_size for path, info in infos.items() if path in paths))
    metrics.setdefault("nar_size_bytes", Metric("nar_size_bytes", size, "bytes"))
    metrics.setdefault("output_size_bytes", Metric("output_size_bytes", size, "bytes"))
    return Finds(tuple(products[:_MOST_PRODUCTS]), tuple(metrics.values()), failed)


def _product(
    store: "_Store", said: BuildProduct, outputs: set[str], roots: Mapping[str, Path]
) -> Product | None:
    """The product that a build has listed; none: it is not there, or not in an output of this build."""
    output = "/".join(said.path.split("/")[:4])
    file = store.resolve(said.path) if output in outputs else None
    if file is None:
        return None
    content_type = said.type if said.subtype == "none" else f"{said.type} {said.subtype}"
    return _described(file, said.name, said.path, content_type, roots.get(output))


def _itself(
    store: "_Store", output: Output, infos: Mapping[str, PathInfo], roots: Mapping[str, Path]
) -> Product:
    """An output offered as a whole."""
    name = parse_store_path(output.path).name
    file = store.resolve(output.path)
    root = roots.get(output.path)
    if file is None:  # a link that leads out of the store, or nowhere
        return Product(
            name=name[:_NAME], path=output.path, content_type="nix-build", gc_root_path=_text(root)
        )
    found = _described(file, name, output.path, "nix-build", root)
    info = infos.get(output.path)
    if found.is_directory and info is not None:
        return msgspec.structs.replace(found, file_size=info.nar_size)
    return found


def _described(file: Path, name: str, path: str, content_type: str, root: Path | None) -> Product:
    status = file.stat()
    is_directory = stat.S_ISDIR(status.st_mode)
    return Product(
        name=name[:_NAME],
        path=path,
        content_type=content_type[:_CONTENT_TYPE],
        is_directory=is_directory,
        file_size=None if is_directory else status.st_size,
        sha256_hash=None if is_directory or status.st_size > _LARGEST_HASHED else _hash(file),
        gc_root_path=_text(root),
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class _Store:
    """Files of the head's store by their logical paths. Links are followed inside the store and never out of it."""

    def __init__(self, nix: Nix) -> None:
        self._nix = nix

    def read(self, path: str) -> bytes:
        """The beginning of a file; nothing if there is none."""
        file = self.resolve(path)
        if file is None or not file.is_file():
            return b""
        with file.open("rb") as opened:
            return opened.read(_LARGEST_LIST)

    def resolve(self, path: str) -> Path | None:
        """Where the file or directory ``path`` is on disk; none: nowhere in the store.

        Links in a chroot store hold paths as seen from inside, so the kernel cannot follow them for us.
        """
        todo = list(reversed(PurePosixPath(path).parts[1:]))
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            done.append(part)
            place = self._nix.physical("/" + "/".join(done))
            try:
                mode = place.lstat().st_mode
            except OSError:
                return None
            if stat.S_ISLNK(mode) and len(done) > len(PurePosixPath(STORE_DIR).parts) - 1:
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = place.readlink()
                done = [] if target.is_absolute() else done[:-1]
                todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        where = "/" + "/".join(done)
        if not where.startswith(f"{STORE_DIR}/") or len(done) < len(PurePosixPath(STORE_DIR).parts):
            return None
        found = self._nix.physical(where)
        mode = found.lstat().st_mode
        return found if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None
