"""What a store knows about a path."""

from fc.nix.path_info import PathInfo


def test_what_is_not_known_is_empty() -> None:
    info = PathInfo(path="/nix/store/y2yjlvgakv34zr09khygiw84ay9arlcm-a", nar_size=120)
    assert (info.deriver, info.nar_hash, info.references, info.signatures, info.ca) == (
        None,
        None,
        (),
        (),
        "",
    )
