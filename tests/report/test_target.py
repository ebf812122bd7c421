"""Where notifications go."""

from typing import Any

import pytest

from fc.base.settings import ForgeSettings, ForgesSettings
from fc.base.source_settings import AppSettings, ReportSettings
from fc.report.target import App, SecretReference, Target, target_of, target_of_source

FORGES = ForgesSettings(gitlab=ForgeSettings(url="https://gitlab.example.org"))


def test_a_configuration_becomes_a_target() -> None:
    config = {
        "repository": "tools/hello",
        "token": {"secret": "t"},
        "url": "https://git.example.org:8443/x",
        "name": "n",
    }
    target = target_of("gitea_status", config, FORGES)
    assert target == Target(
        url="https://git.example.org:8443/x", repository="tools/hello", token=SecretReference("t")
    )
    assert target.destination == "git.example.org:8443"


def test_settings_become_a_target() -> None:
    report = ReportSettings("gitlab", "ops/fc", token="t")
    assert target_of_source(report, FORGES) == Target(
        url="https://gitlab.example.org", repository="ops/fc", token=SecretReference("t")
    )
    report = ReportSettings("gitea", "ops/fc", app=AppSettings(1, 2, "key"))
    assert target_of_source(report, FORGES) == Target(
        repository="ops/fc", app=App(1, 2, SecretReference("key"))
    )
    report = ReportSettings("github", "ops/fc", url="https://github.example.org/api/v3")
    assert target_of_source(report, FORGES) == Target(
        url="https://github.example.org/api/v3", repository="ops/fc"
    )


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("github_status", "https://api.github.com"),
        ("gitea_status", ""),
        ("forgejo_status", "https://codeberg.org"),
        ("gitlab_status", "https://gitlab.example.org"),
        ("webhook", ""),
    ],
)
def test_without_a_url_the_settings_decide(kind: str, url: str) -> None:
    assert target_of(kind, {"repository": "a/b", "url": None}, FORGES).url == url


@pytest.mark.parametrize("config", [{"url": 5}, {"token": "plain"}, {"repository": ["a"]}])
def test_a_configuration_that_nobody_checked_is_a_target_nobody_can_reach(config: dict[str, Any]) -> None:
    assert target_of("github_status", config, FORGES) == Target()


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://h", "h:443"),
        ("http://h/x", "h:80"),
        ("http://H:8080", "h:8080"),
        ("", ""),
        ("h", ""),
        ("https://h:x", ""),
        ("https://[::", ""),
        ("ftp://h", "h:0"),
    ],
)
def test_the_destination_is_host_and_port(url: str, destination: str) -> None:
    assert Target(url=url).destination == destination
