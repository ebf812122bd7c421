"""Where a notification goes: what configuration or settings say of it, as a task carries it. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fc.base.settings import ForgesSettings
from fc.base.source_settings import ReportSettings
from fc.forge.events import Forge

FORGE_OF: dict[str, Forge] = {
    "github_status": "github",
    "gitea_status": "gitea",
    "forgejo_status": "forgejo",
    "gitlab_status": "gitlab",
}


class SecretReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """The name of a secret, or the secret encrypted; its value is had when a message is sent, and never stored."""

    secret: str = ""
    encrypted: str = ""


class App(msgspec.Struct, frozen=True, omit_defaults=True):
    """A GitHub App that acts instead of a person's token."""

    id: int
    installation: int
    key: SecretReference
    """Its private key."""


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """What sending to one target needs, but for the values of secrets."""

    url: str = ""
    """Of a forge: its base URL. Empty: neither configuration nor settings name one."""
    repository: str = ""
    token: SecretReference | None = None
    secret: SecretReference | None = None
    app: App | None = None

    @property
    def destination(self) -> str:
        """Host and port; empty where the URL has none."""
        try:
            parts = urlsplit(self.url)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError:
            return ""
        return f"{parts.hostname}:{port}" if parts.hostname else ""


def target_of_source(report: ReportSettings, forges: ForgesSettings) -> Target:
    """The target of a configuration repository, with the URL of ``forges`` where its settings name none."""
    app = report.app
    return Target(
        url=report.url or getattr(forges, report.forge).url or "",
        repository=report.repository,
        token=None if report.token is None else SecretReference(report.token),
        app=None if app is None else App(app.id, app.installation, SecretReference(app.key)),
    )


def target_of(kind: str, config: Mapping[str, Any], forges: ForgesSettings) -> Target:
    """The target that ``config`` describes, with the settings' URL where it names none.

    A configuration that was never checked makes a target that cannot be sent to: sending says what is wrong with it.
    """
    try:
        target = msgspec.convert({key: value for key, value in config.items() if value is not None}, Target)
    except msgspec.ValidationError:
        return Target()
    if target.url or kind not in FORGE_OF:
        return target
    return msgspec.structs.replace(target, url=getattr(forges, FORGE_OF[kind]).url or "")
