"""Settings come from a file and from variables; what is wrong is said with its place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from fc.base.durations import Duration
from fc.base.errors import SettingsError
from fc.base.settings import Settings, WebSettings, load_settings
from fc.base.source_settings import (
    ReportSettings,
    ScopeRule,
    SignedSettings,
    SourceSettings,
    SyncWindow,
)

ROOT = Path(__file__).parents[2]
SAMPLES: dict[object, tuple[Any, str, Any]] = {
    # Of each type: what stands in the file, what stands in a variable, and the setting both make.
    int: (7, "7", 7),
    bool: (False, "false", False),
    str: ("text", "text", "text"),
    Path: ("/some/where", "/some/where", Path("/some/where")),
    Duration: ("5m", "5m", 300),
    tuple: (["a", "b"], "a, b", ("a", "b")),
    dict: ({"a": "b", "c": "d=e"}, "a=b; c=d=e", {"a": "b", "c": "d=e"}),
}


def leaves(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting with its type."""
    for name, hint in get_type_hints(kind).items():
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from leaves(hint, (*path, name))
        else:
            yield (*path, name), hint


STRUCTURED: dict[str, tuple[Any, Any]] = {
    "scope": (
        [{"kinds": ["project"], "names": ["team-*"]}],
        (ScopeRule(kinds=("project",), names=("team-*",)),),
    ),
    "require_signed": ({"ssh": "/etc/fc/signers"}, SignedSettings(ssh=Path("/etc/fc/signers"))),
    "sync_windows": (
        [{"kind": "deny", "schedule": "0 18 * * 5", "duration": "60h"}],
        (SyncWindow(kind="deny", schedule="0 18 * * 5", duration=Duration(216_000)),),
    ),
    "report": (
        {"forge": "gitea", "repository": "ops/fc", "token": "gitea-token"},
        ReportSettings(forge="gitea", repository="ops/fc", token="gitea-token"),
    ),
    "sources": (
        {"team": {"url": "https://git.example.org/team.git"}},
        {"team": SourceSettings(url="https://git.example.org/team.git")},
    ),
}
"""Settings that hold sections: as they are written, and what they are."""


def sample(path: tuple[str, ...], hint: Any) -> tuple[Any, str, Any]:
    if path[-1] in STRUCTURED:
        given, expected = STRUCTURED[path[-1]]
        return given, msgspec.json.encode(given).decode(), expected
    if get_origin(hint) is Literal:
        last = get_args(hint)[-1]
        return last, last, last
    chosen = (
        [part for part in get_args(hint) if part is not type(None)]
        if type(None) in get_args(hint)
        else [hint]
    )
    if get_origin(chosen[0]) is Literal:
        return sample(path, chosen[0])
    return SAMPLES[get_origin(chosen[0]) or chosen[0]]


def value_at(settings: Settings, path: tuple[str, ...]) -> Any:
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


LEAVES = list(leaves(Settings))


def written(directory: Path, text: str) -> Path:
    file = directory / "fc.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def complaint(file: Path | None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environment or {})
    return str(caught.value)


@pytest.mark.parametrize(("path", "hint"), LEAVES, ids=[".".join(path) for path, _ in LEAVES])
def test_every_setting_is_read_from_a_file_and_from_a_variable(
    tmp_path: Path, path: tuple[str, ...], hint: Any
) -> None:
    in_file, in_variable, expected = sample(path, hint)
    tree: Any = in_file
    for name in reversed(path):
        tree = {name: tree}
    file = written(tmp_path, msgspec.json.encode(tree).decode())  # JSON is YAML
    variable = "FC_" + "__".join(path).upper()

    assert value_at(load_settings(file, {}), path) == expected
    assert value_at(load_settings(None, {variable: in_variable}), path) == expected
    assert value_at(load_settings(written(tmp_path, ""), {variable: in_variable}), path) == expected


def test_the_example_shows_every_setting_with_its_default() -> None:
    example = ROOT / "fc.example.yaml"
    assert load_settings(example, {}) == Settings()
    text = example.read_text(encoding="utf-8")
    assert [".".join(path) for path, _ in LEAVES if f"{path[-1]}:" not in text] == []


def test_a_variable_wins_over_the_file_and_leaves_its_neighbours(tmp_path: Path) -> None:
    file = written(tmp_path, "web: {host: 10.0.0.1, port: 80}\n")
    settings = load_settings(file, {"FC_WEB__PORT": "8443"})
    assert (settings.web.host, settings.web.port) == ("10.0.0.1", 8443)


def test_an_empty_variable_unsets_what_may_be_unset(tmp_path: Path) -> None:
    file = written(tmp_path, "database: {url: postgresql://elsewhere/fc}\n")
    assert load_settings(file, {"FC_DATABASE__URL": ""}).database.url is None
    assert load_settings(file, {"FC_NIX__EXTRA_SYSTEMS": ""}).nix.extra_systems == ()


def test_a_section_whose_lines_are_all_comments_has_its_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "database:\n  # url: x\nforges:\n  github:\n")
    assert load_settings(file, {}) == Settings()
    assert load_settings(file, {"FC_DATABASE__POOL_SIZE": "3"}).database.pool_size == 3


def test_a_home_directory_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/fc")
    assert load_settings(None, {"FC_DATA_DIR": "~/data"}).data_dir == Path("/home/fc/data")


def test_a_setting_of_a_named_source_is_a_variable_as_well(tmp_path: Path) -> None:
    file = written(tmp_path, "configuration: {sources: {team: {url: /srv/team, branch: main}}}\n")
    settings = load_settings(file, {"FC_CONFIGURATION__SOURCES__TEAM__BRANCH": "next"})
    assert settings.configuration.sources["team"] == SourceSettings(url="/srv/team", branch="next")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: {team: {}}", "configuration.sources.team.url is not set"),
        (
            "{url: /srv/a, sources: {default: {url: /srv/b}}}",
            "configuration.url describes that source already",
        ),
        (
            "sources: {team: {brunch: main}}",
            "there is no setting configuration.sources.*.brunch; did you mean configuration.sources.*.branch?",
        ),
        ("scope: [{kinds: [jobset]}]", "Invalid enum value 'jobset'"),
    ],
)
def test_a_source_that_cannot_be_followed_is_refused_at_the_start(
    tmp_path: Path, text: str, said: str
) -> None:
    configuration = text if text.startswith("{") else f"{{{text}}}"
    assert said in complaint(written(tmp_path, f"configuration: {configuration}\n"))


def test_a_section_in_a_variable_is_json() -> None:
    message = complaint(None, {"FC_CONFIGURATION__SCOPE": "project"})
    assert message.startswith("FC_CONFIGURATION__SCOPE: write it as JSON")


def test_secrets_and_variables_of_other_programs_are_no_settings() -> None:
    environment = {
        "FC_SECRET_WEB__PORT": "x",
        "FC_SETTINGS_FILE": "x",
        "FC_LANG": "f90",
        "FC": "gfortran",
        "FCGI": "x",
    }
    assert load_settings(None, environment) == Settings()


def test_a_process_reads_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_WEB__PORT", "1234")
    assert load_settings(None).web.port == 1234


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "web:\n  prot: 80\n",
            ":2:3: there is no setting web.prot; did you mean web.port? fc.example.yaml shows",
        ),
        ("databse: {}\n", ":1:1: there is no setting databse; did you mean database? "),
        ("web:\n  zebra: 80\n", ":2:3: there is no setting web.zebra; fc.example.yaml shows every setting"),
        ("web: {host: a, port: many}\n", ":1:16: web.port: Expected `int`, got `str`"),
        ("web: {port: 70000}\n", ":1:7: web.port: Expected `int` <= 65535"),
        ("web: 80\n", ":1:1: web: Expected `object`, got `int`"),
        ("nix:\n  extra_systems: i686-linux\n", ":2:3: nix.extra_systems: Expected `array`, got `str`"),
        ("nix:\n  extra_systems:\n  - a\n  - 5\n", ":2:3: nix.extra_systems: Expected `str`, got `int`"),
        ("nix:\n  options:\n    cores: 5\n", ":2:3: nix.options.*: Expected `str`, got `int`"),
        ("log:\n  level: INFO\n", ":2:3: log.level: Invalid enum value 'INFO'"),
        (
            "configuration: {poll_interval: soon}\n",
            ":1:17: configuration.poll_interval: 'soon' is no duration",
        ),
        ("configuration: {poll_interval: 1.5}\n", ":1:17: configuration.poll_interval: 1.5 is no duration"),
        ("configuration: {deploy_key: 5}\n", ":1:17: configuration.deploy_key: 5 is no path"),
        ("data_dir: ''\n", ":1:1: data_dir: '' is no path"),
        ("8080: x\n", ": settings: Expected `str`"),
        ("- web\n", ": settings are a mapping of sections; fc.example.yaml shows every setting"),
        ("web: {port: 1\n", "not valid YAML"),
        ("web:\n  port: 1\n  port: 2\n", ":3:3: not valid YAML: found duplicate key"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    said = complaint(file)
    assert said.startswith(str(file))
    assert message in said


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FC_WEB__PORT", "many", "FC_WEB__PORT: web.port: Expected `int`, got `str`"),
        ("FC_WEB__PROT", "80", "FC_WEB__PROT: there is no setting web.prot; did you mean web.port?"),
        ("FC_DATABSE__URL", "x", "FC_DATABSE__URL: there is no setting databse.url; did you mean database?"),
        ("FC_ZEBRA__URL", "x", "FC_ZEBRA__URL: there is no setting zebra.url; fc.example.yaml"),
        ("FC_DATADIR", "/x", "FC_DATADIR: there is no setting datadir; did you mean data_dir?"),
        ("FC_WEB__PORT__NUMBER", "1", "FC_WEB__PORT__NUMBER: there is no setting web.port.number"),
        ("FC_WEB", "x", "FC_WEB: web is a section; write FC_WEB__<KEY>"),
        ("FC_FORGES__GITHUB", "x", "FC_FORGES__GITHUB: forges.github is a section"),
        ("FC_DATA_DIR", "", "FC_DATA_DIR: data_dir: '' is no path"),
        ("FC_NIX__OPTIONS", "substituters", "FC_NIX__OPTIONS: write name=value;name=value"),
        (
            "FC_CONFIGURATION__POLL_INTERVAL",
            "-5s",
            "FC_CONFIGURATION__POLL_INTERVAL: configuration.poll_interval:",
        ),
    ],
)
def test_what_is_wrong_in_a_variable_is_said_with_its_name(variable: str, value: str, message: str) -> None:
    assert complaint(None, {variable: value}).startswith(message)


def test_a_variable_below_what_is_no_section_leads_to_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "web: 80\n")
    assert complaint(file, {"FC_WEB__PORT": "80"}).startswith(f"{file}:1:1: web: Expected `object`")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert (
        complaint(tmp_path / "none.yaml")
        == f"{tmp_path}/none.yaml: there is no such file; copy fc.example.yaml and edit it"
    )
    assert complaint(tmp_path).startswith(f"{tmp_path}: cannot be read: ")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("data_dir: é".encode("latin-1"))
    assert complaint(latin).startswith(f"{latin}: cannot be read: ")


@pytest.mark.parametrize(
    ("web", "url"),
    [
        (WebSettings(), "http://127.0.0.1:8080"),
        (WebSettings(host="::1", port=80), "http://[::1]:80"),
        (WebSettings(public_url="https://ci.example.org/"), "https://ci.example.org"),
    ],
)
def test_links_begin_with_the_public_url(web: WebSettings, url: str) -> None:
    assert Settings(web=web).public_url == url
