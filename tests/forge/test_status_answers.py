"""What forges answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.forge.status_answers import LONGEST_WAIT, Later, Refused, Taken, read_answer

NOW = 1_800_000_000.0


def answer(code: int, body: bytes = b"{}", **headers: str) -> Taken | Later | Refused:
    return read_answer(code, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)


def later(code: int, body: bytes = b"{}", **headers: str) -> Later:
    result = answer(code, body, **headers)
    assert isinstance(result, Later)
    return result


def refused(code: int, body: bytes = b"{}") -> str:
    result = answer(code, body)
    assert isinstance(result, Refused)
    return result.reason


def test_created_is_taken() -> None:
    assert answer(201, b'{"id": 1, "state": "success"}') == Taken()
    assert answer(200) == Taken()


@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>", b"[1]", b"\xff", b"[" * 100_000])
def test_success_that_is_no_forge_s_is_tried_again(body: bytes) -> None:
    assert "is url right?" in later(200, body).reason


def test_gitlab_s_complaint_that_nothing_changes_is_taken() -> None:
    said = b'{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \\"run\\")"}'
    assert answer(400, said) == Taken()
    assert "Cannot transition" in refused(400, b'{"message":"Cannot transition status via :drop from :x"}')


def test_a_redirect_is_not_followed() -> None:
    assert "renamed" in refused(301)
    assert "renamed" in refused(307, b"")


def test_advice_is_for_what_was_sent_and_a_token_that_ended_is_told_apart() -> None:
    ended = read_answer(401, {}, b"{}", NOW, {401: "ask for another"})
    assert ended == Refused("HTTP 401: ask for another", unauthorised=True)
    assert read_answer(404, {}, b"{}", NOW, {404: "x"}) == Refused("HTTP 404: x")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (401, "valid one"),
        (403, "that right"),
        (404, "check repository"),
        (422, "in this repository"),
        (400, "check url"),
    ],
)
def test_a_permanent_refusal_says_what_to_do(code: int, advice: str) -> None:
    assert advice in refused(code)


def test_what_the_forge_says_is_told_on_one_line_and_cut() -> None:
    assert refused(422, b'{"message": "No commit found\\nfor SHA: 1"}').startswith(
        "HTTP 422: No commit found for SHA: 1; "
    )
    assert "HTTP 400: {" in refused(400, b'{"message": {"name": ["is too long"]}}')
    assert "insufficient_scope" in refused(403, b'{"error": "insufficient_scope"}')
    assert len(refused(404, b'{"message": "' + b"x" * 5000 + b'"}')) < 500


def test_github_s_primary_limit_waits_for_its_reset() -> None:
    result = later(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=str(int(NOW) + 600))
    assert (result.after, result.limited) == (600.0, True)


def test_github_s_secondary_limit_waits_as_long_as_it_says_and_else_a_minute() -> None:
    assert (
        later(403, b'{"message":"You have exceeded a secondary rate limit"}', Retry_After="30").after == 30.0
    )
    assert later(403, b'{"message":"You have exceeded a secondary rate limit"}').after == 60.0
    assert later(403, b'{"message":"abuse detection"}').limited


def test_gitlab_s_limit_waits_for_its_reset() -> None:
    assert later(429, RateLimit_Remaining="0", RateLimit_Reset=str(int(NOW) + 45)).after == 45.0
    assert later(429, Retry_After="7").after == 7.0
    assert later(429, b"Retry later").after == 60.0


def test_retry_after_may_be_a_date() -> None:
    assert later(429, Retry_After="Fri, 15 Jan 2027 08:01:00 GMT").after == 60.0


@pytest.mark.parametrize("value", ["soon", "", "-5", "1e9", "٣", "9" * 40, "Fri, 99 Jan 2027 08:01:00 GMT"])
def test_a_nonsensical_retry_after_counts_as_none(value: str) -> None:
    assert later(429, Retry_After=value).after == 60.0


def test_a_forge_cannot_make_us_wait_for_ever_nor_not_at_all() -> None:
    assert later(429, Retry_After="999999999").after == LONGEST_WAIT
    assert later(429, Retry_After="0").after == 1.0
    assert later(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="1").after == 1.0


def test_a_reset_that_is_missing_falls_back() -> None:
    assert later(429, X_RateLimit_Remaining="0").after == 60.0
    assert "that right" in str(answer(403, X_RateLimit_Remaining="0"))
    assert "that right" in str(answer(403, X_RateLimit_Remaining="12"))


@pytest.mark.parametrize("code", [408, 409, 425, 500, 502, 503, 504, 599])
def test_a_forge_in_trouble_is_tried_again(code: int) -> None:
    result = later(code, b"<html>")
    assert (result.after, result.limited, result.down) == (None, False, code in {502, 503, 504})


def test_maintenance_with_a_time_is_waited_for() -> None:
    assert later(503, Retry_After="120").after == 120.0


@given(
    st.integers(min_value=100, max_value=999),
    st.dictionaries(
        st.sampled_from(["Retry-After", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Reset"]),
        st.text(max_size=30),
    ),
    st.binary(max_size=100),
)
def test_any_answer_has_a_meaning(code: int, headers: dict[str, str], body: bytes) -> None:
    result = read_answer(code, headers, body, NOW)
    assert isinstance(result, Taken | Later | Refused)
    if isinstance(result, Later) and result.after is not None:
        assert 1.0 <= result.after <= LONGEST_WAIT
