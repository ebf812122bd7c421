"""Settings of configuration repositories: where each is, what it may declare, and how far it is trusted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from fc.base.drift_settings import DriftSettings
from fc.base.durations import Duration
from fc.base.errors import SettingsError

DEFAULT_SOURCE = "default"
"""Name of the source that ``configuration`` itself describes; directories applied by hand belong to it too."""

PLAN_CHECK = "fc/plan"
"""What the status or check of a pull request to a configuration repository is called."""

_Names = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x20]+\Z", max_length=255)]
_CRON_FIELDS = 5
SourceName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]*\Z", max_length=100)]


def named_for(check: str, source: str) -> str:
    """What ``check`` is called for a source: several sources may be in one repository."""
    return check if source == DEFAULT_SOURCE else f"{check}/{source}"


class ScopeRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a source may declare: these kinds, under these names."""

    kinds: tuple[
        Literal["project", "user", "api_key", "remote_builder", "role", "worker_pool"],
        ...,
    ] = ()
    """None: every kind."""
    names: tuple[_Names, ...] = ("*",)
    """Patterns; ``*`` stands for any text. What stands inside a project goes by the project's name."""


class SignedSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Whose signatures commits must have."""

    gpg: Path | None = None
    """Keyring of OpenPGP public keys, as ``gpg --export`` writes it."""
    ssh: Path | None = None
    """File of allowed signers, as ssh-keygen(1) describes it."""


class SyncWindow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """When changes may, or may not, be applied."""

    kind: Literal["allow", "deny"]
    schedule: str
    """When it opens, as in cron: minute, hour, day, month, weekday."""
    duration: Duration
    """How long it stays open."""
    timezone: str = "UTC"
    """Name in the time zone database, in which ``schedule`` is meant."""

    def __post_init__(self) -> None:
        """Refuse what never can be followed; the message is shown with the place of the window."""
        message = None
        if len(self.schedule.split()) != _CRON_FIELDS:
            message = f"schedule: {self.schedule!r} has not the five fields minute, hour, day, month, weekday"
        else:
            try:
                CronSim(self.schedule, datetime.now(UTC))
            except CronSimError as error:
                message = f"schedule: {self.schedule!r}: {error}"
        if self.duration <= 0:
            message = "duration: a window is open for a while, at least a second"
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = (
                f"timezone: there is no time zone {self.timezone!r}; write one such as Europe/Berlin or UTC"
            )
        if message is not None:
            raise ValueError(message)


class AppSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A GitHub App; with one, pull requests get a check run with annotations."""

    id: Annotated[int, msgspec.Meta(ge=1)]
    installation: Annotated[int, msgspec.Meta(ge=1)]
    key: str
    """Name of the secret that holds its private key (PEM)."""


class ReportSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where commits and pull requests of a source get their statuses."""

    forge: Literal["github", "gitea", "forgejo", "gitlab"]
    repository: str
    """``owner/name``; at GitLab the full path of the project, or its number."""
    token: str | None = None
    """Name of the secret that holds an access token; none: the app's."""
    url: str | None = None
    """Base URL of the forge; none: that of ``forges``."""
    app: AppSettings | None = None


class SourceSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One configuration repository."""

    url: str | None = None
    branch: str = "main"
    path: str = "."
    poll_interval: Duration = Duration(60)
    deploy_key: Path | None = None
    """Private SSH key for fetching."""
    webhook_secret: str | None = None
    """Name of the secret that push hooks of the configuration repository are signed with."""
    scope: tuple[ScopeRule, ...] = ()
    """What it may declare; empty: everything that no other source owns."""
    require_signed: SignedSettings | None = None
    """Every commit since the last one applied must have a good signature; none: none is asked for."""
    force_push: Literal["allow", "refuse"] = "allow"
    """What happens when the branch no longer holds the commit in force."""
    sync_windows: tuple[SyncWindow, ...] = ()
    report: ReportSettings | None = None
    """None: no statuses are set, pull requests are not previewed."""


class ConfigurationSettings(SourceSettings, forbid_unknown_fields=True, frozen=True):
    """The configuration repositories: the one described here, and others by name."""

    environment: tuple[str, ...] = ()
    """Variables of the service that configuration may read with ``!env``."""
    drift: DriftSettings = DriftSettings()
    drift_interval: Duration = Duration(600)
    """How often rows are compared with git when no notice asks for it."""
    retention: Duration = Duration(90 * 86400)
    """How long what git removed stays, disabled, with its history; 0: for ever."""
    sources: dict[SourceName, SourceSettings] = {}
    """Further repositories."""

    @property
    def followed(self) -> dict[str, SourceSettings]:
        """Every repository that is followed, by name.

        Raises:
            SettingsError: one has no URL, or two have one name.
        """
        for name, source in self.sources.items():
            if source.url is None:
                message = f"configuration.sources.{name}.url is not set; name the repository to follow"
                raise SettingsError(message)
        if self.url is None:
            return dict(self.sources)
        if DEFAULT_SOURCE in self.sources:
            message = f"configuration.sources.{DEFAULT_SOURCE}: configuration.url describes that source already; choose another name"
            raise SettingsError(message)
        return {DEFAULT_SOURCE: self, **self.sources}
