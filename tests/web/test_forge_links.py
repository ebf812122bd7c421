"""Addresses of a forge's pages, out of the URL of a repository."""

import pytest

from fc.web.forge_links import commit_link, line_link

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("url", "commit", "line"),
    [
        (
            "https://github.com/ops/fc.git",
            "https://github.com/ops/fc/commit/",
            "https://github.com/ops/fc/blob/",
        ),
        ("git@github.com:ops/fc.git", "https://github.com/ops/fc/commit/", "https://github.com/ops/fc/blob/"),
        (
            "ssh://git@gitlab.example.org/a/b/fc.git",
            "https://gitlab.example.org/a/b/fc/-/commit/",
            "https://gitlab.example.org/a/b/fc/-/blob/",
        ),
        (
            "https://codeberg.org/ops/fc",
            "https://codeberg.org/ops/fc/commit/",
            "https://codeberg.org/ops/fc/src/commit/",
        ),
        (
            "forgejo.example.org:ops/fc/",
            "https://forgejo.example.org/ops/fc/commit/",
            "https://forgejo.example.org/ops/fc/src/commit/",
        ),
    ],
)
def test_known_forges_are_linked(url: str, commit: str, line: str) -> None:
    assert commit_link(url, COMMIT) == f"{commit}{COMMIT}"
    assert line_link(url, COMMIT, ".", "teams/a b#.yaml", 7) == f"{line}{COMMIT}/teams/a%20b%23.yaml#L7"
    assert line_link(url, COMMIT, "conf/fc", "a.yaml", None) == f"{line}{COMMIT}/conf/fc/a.yaml#L1"


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/ops/fc.git",
        "http://github.com/ops/fc.git",
        "file:///srv/fc.git",
        "/srv/github.com/fc.git",
        "https://github.com/fc",
        "https://github.com/../fc",
        "https://github.com//fc",
        "https://user:secret@github.com/ops/fc",
        "https://github.com:8443/ops/fc",
        "javascript:alert(1)//github.com/a/b",
        'https://github.com/a/b"onclick="x',
        "https://github.com/a/b?x#y",
        "https://github.com/a/b\n",
        "",
    ],
)
def test_what_is_not_known_for_sure_is_not_linked(url: str) -> None:
    assert commit_link(url, COMMIT) is None
    assert line_link(url, COMMIT, ".", "a.yaml", 1) is None


@pytest.mark.parametrize(
    "commit", [None, "", "HEAD", "0123", COMMIT.upper(), f"{COMMIT}/../x", f"{COMMIT}\n"]
)
def test_only_a_whole_commit_is_linked(commit: str | None) -> None:
    assert commit_link("https://github.com/ops/fc", commit) is None
    assert line_link("https://github.com/ops/fc", commit, ".", "a.yaml", 1) is None


@pytest.mark.parametrize(
    ("directory", "file"), [(".", None), (".", ""), (".", "../a"), ("a", "../../b"), (".", "/etc/passwd")]
)
def test_no_link_leads_out_of_the_repository(directory: str, file: str | None) -> None:
    assert line_link("https://github.com/ops/fc", COMMIT, directory, file, 1) is None
