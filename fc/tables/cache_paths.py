"""Table of the binary cache."""

from piccolo.columns import Array, BigInt, Text, Timestamptz, Varchar
from piccolo.table import Table


class CachePath(Table, tablename="cache_paths"):
    """A store path that the binary cache serves: in the closure of a built output. Written by cache."""

    hash_part = Varchar(length=32, default=None, primary_key=True)
    """The 32 characters that clients ask by."""
    path = Text(default=None)
    """The whole store path."""
    deriver = Text(default=None, null=True)
    """The .drv it was made by, if the store knows."""
    reference_paths = Array(Text(), default=list)
    """Store paths it refers to; each of them has a row, too."""
    nar_hash = Text(default=None)
    """Hash of its archive, ``sha256:`` and base 32."""
    nar_size = BigInt(default=None)
    """Bytes of its archive."""
    content_address = Text(default="")
    """Empty for input-addressed paths."""
    signatures = Array(Text(), default=list)
    """Signatures of others that the store has; FC's own is made at each request."""
    recorded_at = Timestamptz()
    """When it was recorded."""
