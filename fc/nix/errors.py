"""What can be wrong with bytes and texts that Nix sends or writes."""

from typing import ClassVar

from fc.base.errors import NixError


class ProtocolError(NixError):
    """A stream is not what its protocol allows; the connection it came over is of no further use."""

    code: ClassVar[str] = "nix_protocol"


class FormatError(NixError):
    """A text (store path, hash, derivation, narinfo, job line) does not follow its format."""

    code: ClassVar[str] = "nix_format"

    def __init__(self, kind: str, detail: str) -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(f"not a valid {kind}: {detail}")
