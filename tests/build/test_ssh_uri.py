"""Addresses of remote builders."""

import pytest

from fc.base.errors import InvalidInputError
from fc.build.ssh_uri import SshTarget, parse_ssh_uri


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh://big-1.example.org", SshTarget("big-1.example.org")),
        ("ssh://builder@big-1/", SshTarget("big-1", user="builder")),
        ("ssh://nix_ci@10.0.0.7:2222", SshTarget("10.0.0.7", 2222, "nix_ci")),
        ("ssh://builder@[2001:db8::7]:2222", SshTarget("2001:db8::7", 2222, "builder")),
        (
            "ssh://big-1?remote-store=/srv/store&remote-program=/opt/nix/bin/nix-store",
            SshTarget("big-1", remote_program="/opt/nix/bin/nix-store", remote_store="/srv/store"),
        ),
    ],
)
def test_an_address_is_read(text: str, target: SshTarget) -> None:
    assert parse_ssh_uri(text) == target


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ssh-ng://big-1", "write ssh://"),
        ("http://big-1", "scheme is not ssh"),
        ("big-1", "scheme is not ssh"),
        ("", "scheme is not ssh"),
        ("ssh://", "no valid host name"),
        ("ssh://-oProxyCommand=touch", "no valid host name"),
        ("ssh://big-1-", "no valid host name"),
        ("ssh://-l@big-1", "user is not a plain name"),
        ("ssh://a$(id)@big-1", "user is not a plain name"),
        ("ssh://builder:hunter2@big-1", "passwords do not belong"),
        ("ssh://big-1/nix/store", "names a path"),
        ("ssh://big-1#x", "names a path"),
        ("ssh://big-1:99999", "out of range"),
        ("ssh://big-1:port", "port"),
        ("ssh://big-1?compress=true", "parameters may be"),
        ("ssh://big-1?remote-store=/a&remote-store=/b", "parameters may be"),
        ("ssh://big-1?remote-store", "bad query field"),
        ("ssh://big-1?remote-store=", "a parameter is empty"),
        ("ssh://big-1?remote-program=--version", "begins with a dash"),
        ("ssh://big-1?remote-store=%0Aid", "control characters"),
        ("ssh://big 1", "spaces"),
        ("ssh://big-1\n", "control characters"),
        ("ssh://[big-1", "Invalid IPv6"),
    ],
)
def test_a_hostile_or_mistaken_address_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=r"is no address of a builder") as caught:
        parse_ssh_uri(text)
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_nothing_in_an_address_is_for_the_remote_shell_to_interpret() -> None:
    target = parse_ssh_uri("ssh://big-1?remote-program=nix-store;id&remote-store=/srv/$(id)")
    assert target.command == "'nix-store;id' --serve --write --store '/srv/$(id)'"
    assert parse_ssh_uri("ssh://big-1").command == "nix-store --serve --write"
