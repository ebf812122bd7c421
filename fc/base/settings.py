"""Settings: fc.yaml and FC_* environment variables into one checked structure."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fc.base.durations import parse_duration
from fc.base.errors import SettingsError

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Duration(int):
    """Whole seconds; written as a number or as ``5m``."""


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


class ConfigurationSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The configuration repository."""

    url: str | None = None
    branch: str = "main"
    path: str = "."
    poll_interval: Duration = Duration(60)
    deploy_key: Path | None = None
    """Private SSH key for fetching."""
    webhook_secret: str | None = None
    """Name of the secret that push hooks of the configuration repository are signed with."""


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
    """Where named secrets are found."""

    directory: Path | None = None


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
        return (self.web.public_url or f"http://{self.web.host}:{self.web.port}").rstrip("/")


def load_settings(file: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``file`` (none: defaults), overridden by ``FC_<SECTION>__<KEY>`` variables.

    Raises:
        SettingsError: the file cannot be read, or a value does not fit; names file or variable.
    """
    variables = os.environ if environment is None else environment
    tree = _read(file) if file is not None else {}
    origin = str(file) if file is not None else "the settings"
    for name in sorted(variables):
        if name.startswith("FC_") and not name.startswith("FC_SECRET_"):
            _override(tree, name, variables[name])
    try:
        return msgspec.convert(tree, Settings, dec_hook=_decode, strict=False)
    except msgspec.ValidationError as error:
        message = f"{origin}: {error}; fc.example.yaml shows every setting"
        raise SettingsError(message) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
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
        return {}
    if not isinstance(tree, dict):
        message = f"{file}: settings are a mapping of sections; fc.example.yaml shows every setting"
        raise SettingsError(message)
    return tree


def _override(tree: dict[str, Any], name: str, value: str) -> None:
    """Put ``value`` of the variable ``name`` at its place in ``tree``."""
    path = [part.lower() for part in name.removeprefix("FC_").split("__")]
    kind: Any = Settings
    node = tree
    for depth, part in enumerate(path):
        fields = get_type_hints(kind, include_extras=True) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else {}
        if part not in fields:
            if depth == 0:
                return  # FC_ is also how other programs start their variables; only known sections are ours
            message = f"{name}: there is no setting {'.'.join(path)}; fc.example.yaml shows every setting"
            raise SettingsError(message)
        kind = fields[part]
        if depth == len(path) - 1:
            node[part] = _from_text(kind, value)
        else:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                message = f"{name}: {part} is not a section in the settings file"
                raise SettingsError(message)
            node = child


def _from_text(kind: Any, value: str) -> Any:
    """A variable's text as the setting's type wants it: lists by comma, none for an empty optional."""
    if get_origin(kind) is tuple:
        return [item.strip() for item in value.split(",") if item.strip()]
    if get_origin(kind) is dict:
        return dict(item.split("=", 1) for item in value.split(";") if "=" in item)
    if value == "" and type(None) in get_args(kind):
        return None
    return value


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration:
        return Duration(parse_duration(value))
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    message = f"unexpected {value!r}"
    raise ValueError(message)
