"""Signatures and tokens."""

import pytest

from fc.base.errors import SignatureError
from fc.forge.signatures import find_header, require_hmac, require_secret, require_token
from tests.forge.payloads import hmac_of


def test_headers_are_found_in_any_case() -> None:
    assert find_header({"x-hub-SIGNATURE-256": "1"}, "X-Hub-Signature-256") == "1"
    assert find_header({"other": "1"}, "X-Hub-Signature-256") is None


def test_the_right_signature_passes() -> None:
    require_hmac({"S": "sha256=" + hmac_of(b"body", "secret")}, "S", b"body", "secret", prefix="sha256=")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        hmac_of(b"body", "secret"),
        "sha1=" + hmac_of(b"body", "secret"),
        "sha256=" + hmac_of(b"body ", "secret"),
        "sha256=" + hmac_of(b"body", "other"),
        "sha256=" + hmac_of(b"body", "secret") + "0",
        "sha256=" + hmac_of(b"body", "secret")[:-1],
        "sha256=\u1234é\udfff",
    ],
)
def test_every_other_signature_is_refused(value: str) -> None:
    with pytest.raises(SignatureError):
        require_hmac({"S": value}, "S", b"body", "secret", prefix="sha256=")


def test_a_missing_header_is_refused() -> None:
    with pytest.raises(SignatureError, match="missing"):
        require_token({}, "X-Gitlab-Token", "secret")


def test_without_a_secret_nothing_is_accepted_not_even_an_empty_token() -> None:
    with pytest.raises(SignatureError, match="no secret is configured"):
        require_token({"X-Gitlab-Token": ""}, "X-Gitlab-Token", "")
    with pytest.raises(SignatureError, match="no secret is configured"):
        require_hmac({"S": hmac_of(b"", "")}, "S", b"", "")


def test_a_token_is_compared_as_the_bytes_that_came() -> None:
    secret = "schlüssel"
    as_servers_show_it = secret.encode().decode("latin-1")
    require_token({"T": as_servers_show_it}, "T", secret)
    assert require_secret(secret) == secret.encode()


def test_no_message_shows_the_secret() -> None:
    with pytest.raises(SignatureError) as caught:
        require_token({"T": "guess"}, "T", "s3cret-value")
    assert "s3cret-value" not in str(caught.value)
    assert caught.value.status == 401
