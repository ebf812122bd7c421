"""What ``git cat-file --batch`` prints."""

from fc.base.errors import GitError


def split_blobs(output: bytes, ids: list[str]) -> dict[str, bytes]:
    """What ``cat-file --batch`` prints: for each id a line ``id type size``, the contents, a line end.

    Raises:
        GitError: an object is missing.
    """
    contents: dict[str, bytes] = {}
    position = 0
    for blob in ids:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        if len(header) != 3:  # noqa: PLR2004 - "id missing" has two words
            action = "cat-file"
            raise GitError(action, f"the object {blob} is missing")
        size = int(header[2])
        contents[blob] = output[end + 1 : end + 1 + size]
        position = end + 1 + size + 1
    return contents
