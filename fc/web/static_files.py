"""Static files: read once, named by their content, compressed once, cached by browsers for a year."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

_DIRECTORY = Path(__file__).parent / "static"
_HASH_LENGTH = 12
_WORTH_COMPRESSING = 1024


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served."""

    content: bytes
    compressed: bytes | None
    """With gzip, where that helps."""
    media_type: str


class StaticFiles:
    """Every file of ``static/``, under a name that changes with its content."""

    def __init__(self, directory: Path = _DIRECTORY) -> None:
        self._names: dict[str, str] = {}
        self._files: dict[str, StaticFile] = {}
        for path in sorted(directory.iterdir()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
            name = f"{path.stem}.{digest}{path.suffix}"
            compressed = gzip.compress(content, mtime=0) if len(content) > _WORTH_COMPRESSING else None
            self._names[path.name] = name
            self._files[name] = StaticFile(
                content=content,
                compressed=compressed,
                media_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            )

    def url(self, name: str) -> str:
        """Where the file ``name`` is served."""
        return f"/static/{self._names[name]}"

    def find(self, hashed_name: str) -> StaticFile | None:
        """The file of this name and content, or none."""
        return self._files.get(hashed_name)
