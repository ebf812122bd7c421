"""What a store knows about one of its valid paths."""

import msgspec


class PathInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One valid path. Paths are whole store paths."""

    path: str
    deriver: str | None = None
    references: tuple[str, ...] = ()
    nar_size: int
    """Bytes of the NAR. 0: unknown (very old stores)."""
    nar_hash: str | None = None
    """``sha256:`` and base 32; none: the remote is too old to say."""
    ca: str = ""
    """Content address, empty for input-addressed paths."""
    signatures: tuple[str, ...] = ()
