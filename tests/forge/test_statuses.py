"""From a status to a request, on every forge."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.base.errors import StatusError
from fc.forge.events import FORGES, Forge
from fc.forge.status_messages import Status
from fc.forge.statuses import status_request
from tests.forge.payloads import NEW

STATUS = Status(
    state="pending",
    context="fc/hello/main",
    description="Evaluating",
    target_url="https://fc.example.org/evaluations/1",
    sha=NEW,
    repository="tools/hello",
)


def test_each_forge_has_its_own_address() -> None:
    assert {forge: status_request(forge, "https://h", STATUS).url for forge in FORGES} == {
        "github": f"https://h/repos/tools/hello/statuses/{NEW}",
        "gitea": f"https://h/api/v1/repos/tools/hello/statuses/{NEW}",
        "forgejo": f"https://h/api/v1/repos/tools/hello/statuses/{NEW}",
        "gitlab": f"https://h/api/v4/projects/tools%2Fhello/statuses/{NEW}",
    }


@pytest.mark.parametrize("forge", FORGES)
def test_no_request_holds_a_token_before_it_is_asked_to(forge: Forge) -> None:
    request = status_request(forge, "https://h", STATUS)
    assert request.token_header not in request.headers
    assert request.headers_with("t0ken")[request.token_header].endswith("t0ken")


@given(
    st.sampled_from(FORGES),
    st.text(max_size=30) | st.just("https://h"),
    st.text(max_size=200),
    st.text(max_size=400),
    st.text(max_size=20) | st.just("tools/hello"),
    st.text(max_size=41) | st.just(NEW),
)
def test_any_status_is_a_request_or_one_kind_of_error(
    forge: Forge, base: str, context: str, description: str, repository: str, sha: str
) -> None:
    status = msgspec.structs.replace(
        STATUS, context=context, description=description, repository=repository, sha=sha
    )
    try:
        request = status_request(forge, base, status)
    except StatusError:
        return
    assert len(request.body["description"]) <= 140
    assert msgspec.json.encode(request.body)
    assert request.url.isascii()
