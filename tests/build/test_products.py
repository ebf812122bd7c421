"""Products are found in the store and never outside of it."""

import dataclasses
import os
from pathlib import Path

import pytest

from fc.base.nix_cli import Nix
from fc.build.products import _Store, read_finds
from fc.build.settle import Output
from fc.nix.path_info import PathInfo

HASH = "ljdzr8f3z97qi6zbxhngmavcbsh7pr30"
OUT = f"/nix/store/{HASH}-out"
OTHER = f"/nix/store/{HASH[::-1]}-other"


@pytest.fixture
def store(nix: Nix, tmp_path: Path) -> Nix:
    """A directory with the shape of a chroot store."""
    root = tmp_path / "chroot"
    for path in (OUT, OTHER):
        (root / path.lstrip("/")).mkdir(parents=True)
    (root / OTHER.lstrip("/") / "file").write_text("other")
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("secret")
    return dataclasses.replace(nix, store_root=root)


def link(store: Nix, name: str, target: str) -> str:
    path = f"{OUT}/{name}"
    store.physical(path).symlink_to(target)
    return path


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (f"{OTHER}/file", True),
        (f"../{HASH[::-1]}-other/file", True),
        (f"{OTHER}/../{HASH[::-1]}-other/./file", True),
        ("/etc/passwd", False),
        ("../../../etc/passwd", False),
        ("../../../../../../../etc/passwd", False),
        (f"{OTHER}/none", False),
        ("self", False),
        ("/nix/store", False),
        (f"{OTHER}/file/below", False),
    ],
)
def test_links_are_followed_inside_the_store_only(store: Nix, target: str, found: bool) -> None:
    path = link(store, "self", target)
    resolved = _Store(store).resolve(path)
    assert (resolved is not None) is found
    if resolved is not None:
        assert resolved.read_text() == "other"


def test_pipes_and_other_oddities_are_no_products(store: Nix) -> None:
    os.mkfifo(store.physical(f"{OUT}/pipe"))
    assert _Store(store).resolve(f"{OUT}/pipe") is None
    assert _Store(store).read(f"{OUT}/none") == b""


def test_only_paths_of_this_builds_own_outputs_are_offered(store: Nix) -> None:
    support = store.physical(OUT) / "nix-support"
    support.mkdir()
    (store.physical(OUT) / "page").write_text("12345")
    (support / "hydra-build-products").write_text(
        f"file none {OTHER}/file\nreport page {OUT}/page\nfile none {OUT}/none\n"
    )
    infos = {OUT: PathInfo(path=OUT, nar_size=500)}
    finds = read_finds(store, [Output("out", OUT)], infos, {OUT: Path("/roots/out")})
    (product,) = finds.products
    assert (product.name, product.file_size, product.content_type) == ("page", 5, "report page")
    assert product.gc_root_path == "/roots/out"
    assert {metric.name: metric.value for metric in finds.metrics}["nar_size_bytes"] == 500.0
    assert not finds.failed


def test_an_output_that_is_a_link_to_nowhere_is_still_named(store: Nix) -> None:
    out = store.physical(OUT)
    out.rmdir()
    out.symlink_to("/etc/passwd")
    (product,) = read_finds(store, [Output("out", OUT)], {}, {}).products
    assert (product.path, product.sha256_hash) == (OUT, None)
