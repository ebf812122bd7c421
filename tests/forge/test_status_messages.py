"""Parts of a commit status."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.base.errors import StatusError
from fc.forge.status_messages import ForgeRequest, Status, join_url, short, split_owner
from tests.forge.payloads import NEW


def status(sha: str) -> Status:
    return Status(
        state="success", context="c", description="d", target_url="https://x", sha=sha, repository="a/b"
    )


REQUEST = ForgeRequest(
    url="https://x", headers={"Accept": "json"}, token_header="T", token_prefix="P ", body={}
)


def test_a_commit_in_either_hash_is_accepted() -> None:
    assert status(NEW).checked_sha == NEW
    assert status("a" * 64).checked_sha == "a" * 64


@pytest.mark.parametrize("sha", ["", "main", "../../user", NEW.upper(), NEW + "\n", NEW[:12]])
def test_what_is_no_full_hash_is_refused(sha: str) -> None:
    with pytest.raises(StatusError, match="no full commit hash"):
        _ = status(sha).checked_sha


def test_the_token_stands_where_the_forge_wants_it() -> None:
    assert REQUEST.headers_with("secret") == {"Accept": "json", "T": "P secret"}
    assert REQUEST.headers == {"Accept": "json"}


@pytest.mark.parametrize("token", ["", " a", "a\n", "a\r\nHost: evil", "ä-secret-ä", "tab\tsecret"])
def test_a_token_that_no_header_may_hold_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(StatusError) as caught:
        REQUEST.headers_with(token)
    assert "secret" not in str(caught.value)
    assert "evil" not in str(caught.value)


def test_owner_and_name_are_told_apart() -> None:
    assert split_owner("tools/hello.nix") == ("tools", "hello.nix")


@pytest.mark.parametrize(
    "text", ["", "a", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/.", "a b/c", "a/b?x", "a/b\n"]
)
def test_what_is_no_owner_and_name_is_refused(text: str) -> None:
    with pytest.raises(StatusError, match="owner/name"):
        split_owner(text)


def test_the_path_of_the_api_stands_once() -> None:
    assert join_url("https://h/sub/", "/api/v1", "/x") == "https://h/sub/api/v1/x"
    assert join_url("https://h/api/v1", "/api/v1", "/x") == "https://h/api/v1/x"
    assert join_url("http://127.0.0.1:8080", "", "/x") == "http://127.0.0.1:8080/x"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "//h",
        "ftp://h",
        "https://",
        "https://h:x",
        "https://h?q=1",
        "https://h#f",
        "https://h\n/",
        "https://[::",
        "https:// h",
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(StatusError, match=r"https://forge\.example\.org"):
        join_url(url, "", "/x")


def test_credentials_in_a_base_url_are_refused_and_not_shown() -> None:
    with pytest.raises(StatusError) as caught:
        join_url("https://user:hunter2@h", "", "/x")
    assert "hunter2" not in str(caught.value)


def test_a_short_text_stays_and_a_long_one_is_cut_with_a_sign() -> None:
    assert short("All 3 jobs succeeded", 140) == "All 3 jobs succeeded"
    assert short("x" * 140, 140) == "x" * 140
    assert short("x" * 141, 140) == "x" * 139 + "…"


def test_lines_and_control_characters_become_spaces() -> None:
    assert short("error:\n\tno such\x00 thing\u2028end ", 140) == "error: no such thing end"


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert short("a\ud83d", 140) == "a?"


def test_an_accent_stays_with_its_letter() -> None:
    text = "e\u0301" * 100
    assert short(text, 140) == "e\u0301" * 69 + "…"
    assert short("\u0301" * 10, 5) == "…"


def test_two_long_names_that_begin_alike_stay_different() -> None:
    one, two = short("n" * 300 + "1", 255, distinct=True), short("n" * 300 + "2", 255, distinct=True)
    assert one != two
    assert len(one) == len(two) == 255


@given(st.text(max_size=400), st.integers(min_value=20, max_value=255), st.booleans())
def test_any_text_comes_out_short_on_one_line_and_fit_for_json(
    text: str, length: int, distinct: bool
) -> None:
    result = short(text, length, distinct=distinct)
    assert len(result) <= length
    assert result.encode().decode() == result
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in result)
