"""How each kind of resource stands in its table, and the statements that write many of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from fc.config.language import Fields

_PROJECT = "JOIN projects p ON p.name = r.project"
_JOBSET = f"{_PROJECT} JOIN jobsets j ON j.project_id = p.id AND j.name = r.jobset"


@dataclass(frozen=True)
class TableRule:
    """Where the resources of a kind stand.

    Rows come as one JSON array, which SQL reads as the record ``r``. Its columns are the parts of the key, the
    fields of the resource and ``seal``, the hash of its secret.
    """

    table: str
    key: tuple[str, ...]
    """Names of the parts of the key; the last part may itself hold slashes."""
    record: Mapping[str, str]
    """Columns of ``r`` beside the key, with their types."""
    identity: Mapping[str, str]
    """Columns that tell rows apart, with their values: expressions over ``r`` and ``joins``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Declared columns whose name or value differs from the record's, likewise."""
    joins: str = ""
    not_stored: frozenset[str] = frozenset()
    """Columns of the record that only ``joins`` and ``columns`` use."""
    created: Mapping[str, str] = field(default_factory=dict)
    """Further columns of a new row."""
    changed: Mapping[str, str] = field(default_factory=dict)
    """Further columns of a changed row; ``t`` is the old one, ``EXCLUDED`` the new one."""
    archive: str = ""
    """Assignments that take the place of removal."""
    read: Mapping[str, str] = field(default_factory=dict)
    """How declared fields are read back, where that is not the column of their name; ``t`` is the row."""
    unique: str = ""
    """A unique column that resources may exchange, as one may take the address another gives up."""

    @property
    def values(self) -> dict[str, str]:
        """Every declared column with its value."""
        plain = {name: f'r."{name}"' for name in self.record if name not in self.not_stored}
        return {**plain, **self.columns}

    def _source(self) -> str:
        types = {**dict.fromkeys(self.key, "text"), **self.record}
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        return f"jsonb_to_recordset($1::jsonb) AS r({columns}) {self.joins}"

    def _same(self) -> str:
        return " AND ".join(f"t.{column} = {value}" for column, value in self.identity.items())

    # Everything that is put into these statements is a constant of this file; what users write travels in $1.

    def upsert(self) -> str:
        """Insert the rows of ``$1``, or bring those that are there to the same state."""
        values = {**self.identity, **self.values, **self.created}
        updates = {**{column: f"EXCLUDED.{column}" for column in self.values}, **self.changed}
        assignments = ", ".join(f"{column} = {value}" for column, value in updates.items())
        return f"""INSERT INTO {self.table} AS t ({", ".join(values)})
            SELECT {", ".join(values.values())} FROM {self._source()}
            ON CONFLICT ({", ".join(self.identity)}) DO UPDATE SET {assignments}"""  # noqa: S608 - constants only

    def rename(self) -> str:
        """Give the rows of ``$1`` the name ``renamed_to``."""
        name = self.key[-1]
        types = {**dict.fromkeys(self.key, "text"), "renamed_to": "text"}
        columns = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
        joins = _PROJECT if "project" in self.key else ""
        return f"""UPDATE {self.table} AS t SET {name} = moved.renamed_to FROM (
            SELECT t.id, r.renamed_to FROM jsonb_to_recordset($1::jsonb) AS r({columns}) {joins}
            JOIN {self.table} t ON {self._same()}) AS moved WHERE t.id = moved.id"""  # noqa: S608 - constants only

    def renamed(self, was: str, key: str) -> dict[str, Any] | None:
        """The record of a rename; none: only what it stands in, or refers to, has another name."""
        old, new = self.row(was, None, None), self.row(key, None, None)
        name = self.key[-1]
        own = self.identity.get(name) == f"r.{name}"
        return {**new, name: old[name], "renamed_to": new[name]} if own and old[name] != new[name] else None

    def remove(self, *, archive: bool) -> str:
        """Delete or archive the rows of ``$1``."""
        if archive:
            return f"UPDATE {self.table} AS t SET {self.archive} WHERE t.id IN ({self._ids()})"  # noqa: S608 - constants only
        return f"DELETE FROM {self.table} AS t WHERE t.id IN ({self._ids()})"  # noqa: S608 - constants only

    def existing(self) -> str:
        """Keys of the rows of ``$1`` that are there, and whether each is archived."""
        parts = ", ".join(f'r."{part}"' for part in self.key)
        archived = "NOT t.enabled" if self.archive else "false"
        return f"""SELECT concat_ws('/', {parts}) AS key, {archived} AS archived
            FROM {self._source()} JOIN {self.table} t ON {self._same()}"""  # noqa: S608 - constants only

    def lock_archived(self) -> str:
        """Lock the archived rows of ``$1`` until the transaction ends."""
        return f"""SELECT t.id FROM {self._source()} JOIN {self.table} t ON {self._same()}
            WHERE NOT t.enabled FOR UPDATE OF t"""  # noqa: S608 - constants only

    def current(self) -> str:
        """Keys of the rows of ``$1`` that are there, what they say, and beside it the hash of their secret."""
        parts = ", ".join(f'r."{part}"' for part in self.key)
        pairs = ", ".join(
            f"'{name}', {self.read.get(name, f't.{name}')}" for name in self.record if name != "seal"
        )
        hashes = [column for column, value in self.columns.items() if value == "r.seal"]
        seal = f"t.{hashes[0]}" if hashes else "NULL::text"
        return f"""SELECT concat_ws('/', {parts}) AS key, jsonb_build_object({pairs}) AS fields, {seal} AS seal
            FROM {self._source()} JOIN {self.table} t ON {self._same()}"""  # noqa: S608 - constants only

    def declared(self, fields: Fields) -> Fields:
        """What ``current`` found, as it would be declared."""
        return fields

    def release(self) -> str:
        """Give up the unique column of the rows of ``$1`` until they are written again."""
        return f"""UPDATE {self.table} AS t SET {self.unique} = 'released-' || t.id::text
            WHERE t.id IN ({self._ids()})"""  # noqa: S608 - constants only

    def _ids(self) -> str:
        return f"SELECT t.id FROM {self._source()} JOIN {self.table} t ON {self._same()}"  # noqa: S608 - constants only

    def row(self, key: str, fields: Fields | None, seal: str | None) -> dict[str, Any]:
        """The record of one resource; of one that is removed only the key counts."""
        parts = dict(zip(self.key, key.split("/", len(self.key) - 1), strict=True))
        return {**(fields or {}), "seal": seal, **parts}


@dataclass(frozen=True)
class _NotificationRule(TableRule):
    """Notifications keep what depends on their type in one JSON column."""

    @override
    def row(self, key: str, fields: Fields | None, seal: str | None) -> dict[str, Any]:
        """As of every kind, with the column ``config``."""
        config = {
            name: value
            for name, value in (fields or {}).items()
            if name not in {"type", "enabled"} and value is not None
        }
        return {**super().row(key, fields, seal), "config": config}

    @override
    def declared(self, fields: Fields) -> Fields:
        """Out of the column ``config``, which may hold anything if somebody wrote it by hand."""
        inside = fields["config"] if isinstance(fields["config"], dict) else {}
        return {**inside, **{name: value for name, value in fields.items() if name != "config"}}


RULES: dict[str, TableRule] = {
    "user": TableRule(
        table="users",
        key=("username",),
        record={
            "email": "text",
            "full_name": "text",
            "role": "text",
            "enabled": "bool",
            "public_dashboard": "bool",
        },
        identity={"username": "r.username"},
        archive="enabled = false",
        unique="email",
    ),
    "role": TableRule(
        table="roles",
        key=("role_id",),
        record={"description": "text", "scopes": "jsonb"},
        identity={"role_id": "r.role_id"},
        created={"created": "now()", "last_modified": "now()", "etag": "gen_random_uuid()"},
        changed={"last_modified": "now()", "etag": "gen_random_uuid()"},
    ),
    "remote_builder": TableRule(
        table="remote_builders",
        key=("name",),
        record={
            "ssh_uri": "text",
            "systems": "text[]",
            "max_jobs": "int",
            "speed_factor": "int",
            "supported_features": "text[]",
            "mandatory_features": "text[]",
            "enabled": "bool",
            "public_host_key": "text",
            "ssh_key_file": "text",
        },
        identity={"name": "r.name"},
        archive="enabled = false",
    ),
    "worker_pool": TableRule(
        table="worker_pools",
        key=("worker_pool_id",),
        record={
            "provider_id": "text",
            "owner": "text",
            "description": "text",
            "email_on_error": "bool",
            "config": "jsonb",
        },
        identity={"worker_pool_id": "r.worker_pool_id"},
        created={
            "created": "now()",
            "last_modified": "now()",
            "provider_data": "'{}'::jsonb",
            "previous_provider_ids": "'[]'::jsonb",
        },
        changed={"last_modified": "now()", "etag": "gen_random_uuid()"},
    ),
    "api_key": TableRule(
        table="api_keys",
        key=("name",),
        record={"role": "text", "user": "text", "seal": "text"},
        identity={"name": "r.name"},
        columns={"key_hash": "r.seal", "user_id": "u.id"},
        joins='LEFT JOIN users u ON u.username = r."user"',
        not_stored=frozenset(("user", "seal")),
        read={"user": "(SELECT o.username FROM users o WHERE o.id = t.user_id)"},
        unique="key_hash",
    ),
    "project": TableRule(
        table="projects",
        key=("name",),
        record={"repository_url": "text", "description": "text", "enabled": "bool"},
        identity={"name": "r.name"},
        archive="enabled = false",
    ),
    "jobset": TableRule(
        table="jobsets",
        key=("project", "name"),
        record={
            "nix_expression": "text",
            "description": "text",
            "enabled": "bool",
            "flake_mode": "bool",
            "branch": "text",
            "check_interval": "int",
            "scheduling_shares": "int",
            "state": "text",
            "keep_nr": "int",
            "restrict_eval": "bool",
            "allow_import_from_derivation": "bool",
            "evaluation_timeout": "int",
        },
        identity={"project_id": "p.id", "name": "r.name"},
        joins=_PROJECT,
        archive="enabled = false, state = 'disabled'",
    ),
    "input": TableRule(
        table="jobset_inputs",
        key=("project", "jobset", "name"),
        record={"type": "text", "value": "text", "revision": "text"},
        identity={"jobset_id": "j.id", "name": "r.name"},
        columns={"input_type": "r.type"},
        read={
            "type": "t.input_type",
            "value": "CASE t.input_type WHEN 'boolean' THEN to_jsonb(t.value = 'true') ELSE to_jsonb(t.value) END",
        },
        joins=_JOBSET,
        not_stored=frozenset(("type",)),
    ),
    "channel": TableRule(
        table="channels",
        key=("project", "name"),
        record={"jobset": "text"},
        identity={"project_id": "p.id", "name": "r.name"},
        columns={"jobset_id": "j.id"},
        read={"jobset": "(SELECT o.name FROM jobsets o WHERE o.id = t.jobset_id)"},
        # What is removed has no jobset to look up.
        joins=f"{_PROJECT} LEFT JOIN jobsets j ON j.project_id = p.id AND j.name = r.jobset",
        not_stored=frozenset(("jobset",)),
        changed={"updated_at": "now()"},
    ),
    "webhook": TableRule(
        table="webhook_configs",
        key=("project", "forge_type"),
        record={"secret": "jsonb", "enabled": "bool", "seal": "text"},
        identity={"project_id": "p.id", "forge_type": "r.forge_type"},
        columns={"secret_hash": "r.seal"},
        joins=_PROJECT,
        not_stored=frozenset(("seal",)),
    ),
    "notification": _NotificationRule(
        table="notification_configs",
        key=("project", "name"),
        record={"type": "text", "config": "jsonb", "enabled": "bool"},
        identity={"project_id": "p.id", "name": "r.name"},
        columns={"notification_type": "r.type"},
        read={"type": "t.notification_type"},
        joins=_PROJECT,
        not_stored=frozenset(("type",)),
    ),
    "member": TableRule(
        table="project_members",
        key=("project", "username"),
        record={"role": "text"},
        identity={"project_id": "p.id", "user_id": "u.id"},
        joins=f"{_PROJECT} JOIN users u ON u.username = r.username",
    ),
}
"""The table of every kind."""
