"""Settings: fc.yaml and FC_* environment variables into one checked structure."""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode

from fc.base.durations import Duration, parse_duration
from fc.base.errors import SettingsError
from fc.base.source_settings import ConfigurationSettings

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class DatabaseSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where the state is."""

    url: str | None = None
    """PostgreSQL 14 to 18, ``postgresql://…``; none: an embedded PostgreSQL below the data directory."""
    pool_size: Positive = 8
    """Most connections of one process."""


class WebSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The web process."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Positive = 1
    public_url: str | None = None
    """How people and forges reach these pages; none: ``http://host:port``."""


class NixSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How Nix is called."""

    bin_dir: Path | None = None
    """Directory of nix-store and friends; none: from PATH."""
    store: str = "auto"
    """Store of the head: a store URI or directory; ``auto``: the machine's own store where it can be written
    (root or a daemon), else a chroot store below the data directory."""
    system: str | None = None
    """The system built locally; none: what Nix says."""
    extra_systems: tuple[str, ...] = ()
    options: dict[str, str] = {}
    """Lines for nix.conf that hold for every call, such as ``substituters``."""


class EvaluateSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Evaluation."""

    concurrency: Positive = 1
    workers: Positive = 2
    """Processes of one evaluation."""
    max_memory_mb: Positive = 4096
    """Memory of one evaluation process."""
    min_check_interval: Duration = Duration(10)


class BuildersSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Building."""

    local_jobs: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Builds at once in the head's own store; 0: remote builders only."""
    local_features: tuple[str, ...] = ()
    ssh_key: Path | None = None
    """Private key for builders that name none of their own."""
    trust_on_first_use: bool = False
    connect_timeout: Duration = Duration(15)
    timeout: Duration = Duration(36000)
    """A build that takes longer ends as timeout."""
    max_silent: Duration = Duration(7200)
    max_log_mb: Positive = 64
    max_attempts: Positive = 4
    """Tries of one derivation when the builder, not the build, failed."""


class ForgeSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One forge."""

    url: str | None = None
    """Base URL of its API; none: the public one, where there is one."""


class ForgesSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The forges that statuses go to unless a notification names its own."""

    github: ForgeSettings = ForgeSettings(url="https://api.github.com")
    gitea: ForgeSettings = ForgeSettings()
    forgejo: ForgeSettings = ForgeSettings(url="https://codeberg.org")
    gitlab: ForgeSettings = ForgeSettings(url="https://gitlab.com")


class SecretsSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where named secrets are found, and what opens encrypted ones."""

    directory: Path | None = None
    age_identities: Path | None = None
    """File of age identities; none: encrypted values in configuration are refused."""


class CacheSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The binary cache."""

    enabled: bool = True
    signing_key: Path | None = None
    """A key as ``nix-store --generate-binary-cache-key`` writes it; none: one is made below the data directory."""
    priority: Positive = 40


class LogSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The service's own log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    form: Literal["auto", "console", "json"] = "auto"


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Everything a process of FC is told from outside."""

    data_dir: Path = Path("fc-data")
    database: DatabaseSettings = DatabaseSettings()
    web: WebSettings = WebSettings()
    configuration: ConfigurationSettings = ConfigurationSettings()
    nix: NixSettings = NixSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    builders: BuildersSettings = BuildersSettings()
    forges: ForgesSettings = ForgesSettings()
    secrets: SecretsSettings = SecretsSettings()
    cache: CacheSettings = CacheSettings()
    log: LogSettings = LogSettings()

    @property
    def public_url(self) -> str:
        """Base of every link FC hands out, without a slash at its end."""
        host = f"[{self.web.host}]" if ":" in self.web.host else self.web.host
        return (self.web.public_url or f"http://{host}:{self.web.port}").rstrip("/")


_Path = tuple[str, ...]
_WHERE = re.compile(r"(?P<reason>.*?)(?: - at `(?:key` in `)?\$(?P<path>[^`]*)`)?", re.DOTALL)
"""A message of msgspec: what is wrong, and the path to it."""
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_SEE = "fc.example.yaml shows every setting"


def load_settings(file: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``file`` (none: defaults), overridden by ``FC_<SECTION>__<KEY>`` variables.

    Raises:
        SettingsError: the file cannot be read, or a setting does not exist or does not fit; names the variable,
            or the line and column.
    """
    tree, places = _read(file) if file is not None else ({}, {})
    variables = os.environ if environment is None else environment
    for name in sorted(variables):
        if name.startswith("FC_") and not name.startswith("FC_SECRET_"):
            path = _path_of(name)
            if path:
                _put(tree, path, _from_text(name, _kind_at(path), variables[name]))
                places[path] = name
    try:
        settings = msgspec.convert(tree, Settings, dec_hook=_decode, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), places)) from None
    # What single fields cannot say is wrong is said at the start as well.
    _ = settings.configuration.followed
    return settings


def _read(file: Path) -> tuple[dict[str, Any], dict[_Path, str]]:
    """The settings of ``file``, and where each of them stands."""
    try:
        text = file.read_text(encoding="utf-8")
        tree = YAML(typ="safe", pure=True).load(text)
        root = YAML(typ="safe", pure=True).compose(text)
    except FileNotFoundError:
        message = f"{file}: there is no such file; copy fc.example.yaml and edit it"
        raise SettingsError(message) from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: cannot be read: {error}"
        raise SettingsError(message) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(file)
        message = f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}"
        raise SettingsError(message) from None
    if tree is None:
        return {}, {}
    if not isinstance(tree, dict):
        message = f"{file}: settings are a mapping of sections; {_SEE}"
        raise SettingsError(message)
    places = {(): str(file)} | {
        path: f"{file}:{mark.line + 1}:{mark.column + 1}" for path, mark in _marks(root, ())
    }
    return _without_empty_sections(tree, Settings), places


def _marks(node: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """Where each key below a node of the YAML document begins."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            below = (*path, str(key.value))
            yield below, key.start_mark
            yield from _marks(value, below)


def _without_empty_sections(tree: dict[str, Any], kind: Any) -> dict[str, Any]:
    """``tree`` without the sections whose every line is a comment: they say nothing, not null."""
    kept = {}
    for name, value in tree.items():
        section = _member(kind, name)
        if value is None and _fields(section):
            continue
        kept[name] = _without_empty_sections(value, section) if isinstance(value, dict) else value
    return kept


def _member(kind: Any, name: str) -> Any:
    """Type of what stands under ``name`` in a section, or in a mapping of sections; none: there is no such thing."""
    if get_origin(kind) is dict and _fields(get_args(kind)[1]):
        return get_args(kind)[1]
    return _fields(kind).get(name)


def _fields(kind: Any) -> dict[str, Any]:
    """Names and types of a section's settings; none of anything that is no section."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return get_type_hints(kind, include_extras=True)
    return {}


def _holds_sections(kind: Any) -> bool:
    """Whether values of a type are sections, or lists or mappings of them."""
    return bool(_fields(kind)) or any(_holds_sections(part) for part in get_args(kind))


def _kind_at(path: _Path) -> Any:
    kind: Any = Settings
    for part in path:
        kind = _member(kind, part)
    return kind


def _path_of(name: str) -> _Path:
    """The setting that the variable ``name`` stands for; empty: it is not one of ours."""
    path = tuple(part.lower() for part in name.removeprefix("FC_").split("__"))
    for depth, part in enumerate(path):
        if _member(_kind_at(path[:depth]), part) is None:
            nearest = _nearest(part, path[:depth])
            # Other programs may have variables that begin like ours; those that look like a slip are not theirs.
            if len(path) == 1 and not nearest:
                return ()
            message = f"{name}: {_no_such_setting(path, nearest)}"
            raise SettingsError(message)
    if _fields(_kind_at(path)):
        message = f"{name}: {'.'.join(path)} is a section; write {name}__<KEY>; {_SEE}"
        raise SettingsError(message)
    return path


def _nearest(name: str, section: _Path) -> _Path:
    """The setting of ``section`` whose name is nearest to ``name``; empty: none is near."""
    found = get_close_matches(name, _fields(_kind_at(section)), n=1, cutoff=0.75)
    return (*section, found[0]) if found else ()


def _no_such_setting(path: _Path, nearest: _Path) -> str:
    hint = f"did you mean {'.'.join(nearest)}? " if nearest else ""
    return f"there is no setting {'.'.join(path)}; {hint}{_SEE}"


def _put(tree: dict[str, Any], path: _Path, value: Any) -> None:
    for part in path[:-1]:
        below = tree.get(part)
        # Anything else than a mapping is wrong there, and is said to be wrong when the whole is checked.
        if not isinstance(below, dict):
            if part in tree:
                return
            below = tree[part] = {}
        tree = below
    tree[path[-1]] = value


def _from_text(name: str, kind: Any, value: str) -> Any:
    """A variable's text as the setting's type wants it: lists by comma, sections as JSON, none for an empty optional."""
    if value == "" and type(None) in get_args(kind):
        return None
    if _holds_sections(kind):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            message = f"{name}: write it as JSON ({error}); {_SEE}"
            raise SettingsError(message) from None
    if get_origin(kind) is tuple:
        return [item.strip() for item in value.split(",") if item.strip()]
    if get_origin(kind) is dict:
        pairs = [item.partition("=") for item in value.split(";") if item.strip()]
        if not all(equals for _, equals, _ in pairs):
            message = f"{name}: write name=value;name=value"
            raise SettingsError(message)
        return {key.strip(): text.strip() for key, _, text in pairs}
    return value


def _explain(message: str, places: dict[_Path, str]) -> str:
    """A message of msgspec in words that lead to the place: the variable, or the line of the file."""
    match = _WHERE.fullmatch(message)
    assert match is not None
    # msgspec writes [...] for a key of a mapping, and [0] for an item of a list.
    written = (match["path"] or "").replace("[...]", ".*")
    path = tuple(part for part in re.split(r"[.\[]", written) if part and not part.endswith("]"))
    reason = match["reason"]
    unknown = _UNKNOWN.fullmatch(reason)
    if unknown is not None:
        nearest = _nearest(unknown[1], path)
        path = (*path, unknown[1])
        text = _no_such_setting(path, nearest)
    else:
        text = f"{'.'.join(path) or 'settings'}: {reason}; {_SEE}"
    place = next((places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in places), "settings")
    return f"{place}: {text}"


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration:
        return Duration(parse_duration(value))
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser()
    message = f"{value!r} is no {'path' if kind is Path else kind.__name__}"
    raise ValueError(message)
