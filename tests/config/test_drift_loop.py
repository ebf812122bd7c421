"""The loop that looks for drift, and the settings that say what is healed."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.drift_settings import DriftSettings
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import Settings, load_settings
from fc.base.source_settings import ConfigurationSettings
from fc.config.language import KINDS
from fc.config.loop import make_loops
from tests.config.test_apply import put
from tests.config.test_heal import rows
from tests.support.by_hand import by_hand
from tests.support.configuration import project
from tests.support.waiting import eventually


async def test_the_loop_heals_what_the_settings_name_at_once(
    database: Database, database_url: str, settings: Settings, tmp_path: Path
) -> None:
    await put(database, project("p", main="x"))
    changed = msgspec.structs.replace(
        settings, configuration=ConfigurationSettings(drift=DriftSettings(jobset="heal"))
    )
    nix = Nix.discover(settings)
    listener = Listener(database_url)
    await listener.start()
    stop = asyncio.Event()
    running = [
        asyncio.create_task(
            run_loop(make_loops(Services(changed, database, Secrets(tmp_path), nix, "w"))[0], listener, stop)
        )
        for _ in range(2)
    ]

    async def compared() -> bool:
        return bool(await database.fetchval("SELECT done_at FROM config_turns WHERE name = 'drift'"))

    await eventually(compared, "the first comparison")
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'", "UPDATE projects SET description = 'mine'")

    async def right() -> bool:
        return bool(await database.fetchval("SELECT branch = 'x' FROM jobsets"))

    await eventually(right, "the jobset is healed")

    async def shown() -> bool:
        return (await rows(database)).get(("project", "p")) == (None, None)

    await eventually(shown, "the project is shown")
    stop.set()
    await asyncio.gather(*running)
    await listener.close()
    assert await database.fetchval("SELECT description FROM projects") == "mine"


def test_the_settings_name_every_kind() -> None:
    assert {*DriftSettings.__struct_fields__} == {"default", *(kind.name for kind in KINDS)}
    policy = DriftSettings(default="heal", user="report")
    assert (policy.heals("user"), policy.heals("role")) == (False, True)


def test_an_unknown_kind_is_refused_at_its_place_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "fc.yaml"
    file.write_text("configuration:\n  drift: {default: report, jobsets: heal}\n", encoding="utf-8")
    with pytest.raises(Exception, match=r"fc.yaml:2:28: .*did you mean configuration.drift.jobset\?"):
        load_settings(file, {})


def test_a_policy_may_stand_in_a_variable() -> None:
    settings = load_settings(None, {"FC_CONFIGURATION__DRIFT__USER": "heal"})
    assert settings.configuration.drift.heals("user")
