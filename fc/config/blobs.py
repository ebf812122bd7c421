"""git's ids of contents."""

import hashlib


def blob_id(data: bytes) -> str:
    """The id git gives to these contents."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
