"""Errors of protocols and formats."""

from fc.base.errors import NixError
from fc.nix.errors import FormatError, ProtocolError


def test_both_are_errors_of_nix() -> None:
    assert issubclass(ProtocolError, NixError)
    error = FormatError("narinfo", "the field URL is missing")
    assert isinstance(error, NixError)
    assert (error.kind, error.detail) == ("narinfo", "the field URL is missing")
    assert str(error) == "not a valid narinfo: the field URL is missing"
