"""What a GitHub App proves itself with."""

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from fc.base.errors import StatusError
from fc.forge.github_apps import InstallationToken, app_proof, read_token, token_request

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = 1_800_000_000.7


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, how: KeySerializationEncryption | None = None
) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how or NoEncryption()).decode()


def decoded(part: str) -> Any:
    return msgspec.json.decode(base64.urlsafe_b64decode(part + "=="))


def test_the_proof_is_signed_and_short_lived() -> None:
    proof = app_proof(4711, pem(KEY), NOW)
    head, claims, signature = proof.split(".")
    assert "=" not in proof
    assert decoded(head) == {"alg": "RS256", "typ": "JWT"}
    assert decoded(claims) == {"iat": 1_799_999_940, "exp": 1_800_000_540, "iss": "4711"}
    KEY.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode(), PKCS1v15(), SHA256()
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no key",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(KEY, BestAvailableEncryption(b"password")),
    ],
)
def test_what_is_no_key_is_said_and_not_shown(key: str) -> None:
    with pytest.raises(StatusError, match="no RSA private key") as caught:
        app_proof(1, key, NOW)
    assert "AAAA" not in str(caught.value)


def test_a_token_is_asked_for_one_repository() -> None:
    request = token_request("https://github.example.org/api/v3/", 815, "ops/fc")
    assert request.url == "https://github.example.org/api/v3/app/installations/815/access_tokens"
    assert (request.method, request.body) == ("POST", {"repositories": ["fc"]})
    assert request.headers_with("x")["Authorization"] == "Bearer x"
    with pytest.raises(StatusError):
        token_request("https://api.github.com", 815, "fc")


def test_the_token_is_read() -> None:
    body = b'{"token": "ghs_x", "expires_at": "2026-11-24T19:00:00Z", "permissions": {"checks": "write"}}'
    assert read_token(body) == InstallationToken("ghs_x", datetime(2026, 11, 24, 19, tzinfo=UTC))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"token": 5, "expires_at": "2026-11-24T19:00:00Z"}',
        b'{"token": "x", "expires_at": "2026-11-24T19:00:00"}',
        b'{"token":' + b"[" * 100_000,
    ],
)
def test_what_is_no_token_is_none(body: bytes) -> None:
    assert read_token(body) is None
