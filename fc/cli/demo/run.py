"""The story the demo tells, in order: prepare, serve, first push, second push, verdict."""

import asyncio
import contextlib
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from fc.base.errors import EnvironmentMissingError
from fc.base.nix_cli import Nix
from fc.base.settings import NixSettings, Settings
from fc.cli.demo.expectations import BUILT_ON, EVALUATION_ERRORS, FIRST_PUSH, SECOND_PUSH
from fc.cli.demo.forge import StandInForge
from fc.cli.demo.push_hooks import PushHooks
from fc.cli.demo.repositories import Repository, fill, make_repository
from fc.cli.demo.service import Build, DemoFailedError, Service, free_port
from fc.cli.demo.show import Show
from fc.cli.demo.ssh_builder import SshBuilder

_MARKER = ".fc-demo"
_FILE_COLUMNS = 120
"""Width of the table where there is no terminal to ask."""
_UNFINISHED = {"pending", "running"}


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything around the service that the story needs."""

    directory: Path
    forge: StandInForge
    builder: SshBuilder
    hooks: PushHooks
    repositories: Mapping[str, Repository]
    nix: Nix


async def run(directory: Path, port: int, *, exit_when_done: bool, limit: float) -> int:
    """Play the demo; the exit status: 0 only if everything ended as expected.

    Raises:
        EnvironmentMissingError: git or Nix is missing, or the directory is not a demo's.
        DemoFailedError: the service ended, or the time is up.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_COLUMNS)
    directory = directory.absolute()
    _empty(directory)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    started = time.monotonic()
    async with _stage(directory) as stage:
        service = _service(stage, free_port(port))
        try:
            story = asyncio.create_task(_story(stage, service, Show(console, FIRST_PUSH), limit, started))
            waiting = asyncio.create_task(stopped.wait())
            await asyncio.wait({story, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not story.done():
                story.cancel()
                return 130
            problems = story.result()
            for problem in problems:
                console.print(f"[red]✗[/red] {problem}", highlight=False)
            if not exit_when_done:
                console.print(f"\nThe pages stay at [bold]{service.url}[/bold]. Ctrl-C ends the demo.")
                await _until_stopped(service, stopped)
            return 1 if problems else 0
        finally:
            await service.stop()


async def _story(stage: Stage, service: Service, show: Show, limit: float, started: float) -> list[str]:
    """Play every act; what is not as expected, in words."""
    try:
        async with asyncio.timeout(limit):
            return await _acts(stage, service, show, started)
    except TimeoutError:
        message = f"not done after {limit:.0f} s; {service.log_file} is the service's log"
        raise DemoFailedError(message) from None


async def _acts(stage: Stage, service: Service, show: Show, started: float) -> list[str]:
    with show:
        show.step("starting FC")
        await service.start()
        show.done(f"FC serves at {service.url} after {time.monotonic() - started:.1f} s")
        stage.hooks.service_url = service.url
        show.step("syncing the configuration, evaluating, building")
        await _until_built(service, show, FIRST_PUSH, started)
        show.done(f"{len(FIRST_PUSH)} builds finished after {time.monotonic() - started:.1f} s")
        show.expect(SECOND_PUSH)
        show.step("git push: one more jobset in the configuration")
        pushed = time.monotonic()
        await asyncio.to_thread(_push_second_jobset, stage.repositories["configuration"])
        await _until_building(service, show, "greeting/nightly/almanac")
        show.done(f"the new jobset was building {time.monotonic() - pushed:.1f} s after git push")
        builds = await _until_built(service, show, SECOND_PUSH, started)
        show.step("waiting for the last commit statuses")
        problems = await _until_reported(stage, service, builds)
    show.console.print()
    show.console.print(show.table())
    statuses = sum(len(by_context) for by_context in stage.forge.statuses.values())
    show.console.print(
        f"\n{statuses} commit statuses arrived at the forge; {time.monotonic() - started:.1f} s in all"
    )
    return problems


async def _until_built(
    service: Service, show: Show, expected: Mapping[str, str], started: float
) -> list[Build]:
    """Wait until every expected build is there and final."""
    visible = False
    while True:
        builds = await _look(service, show)
        if builds and not visible:
            visible = True
            if len(expected) == len(FIRST_PUSH):
                show.done(f"the first builds were visible after {time.monotonic() - started:.1f} s")
        finished = {build.key for build in builds if build.status not in _UNFINISHED}
        if finished >= set(expected):
            return builds
        await asyncio.sleep(0.1)


async def _until_building(service: Service, show: Show, key: str) -> None:
    while not any(build.key == key and build.status != "pending" for build in await _look(service, show)):
        await asyncio.sleep(0.05)


async def _look(service: Service, show: Show) -> list[Build]:
    service.check_alive()
    builds = await service.builds()
    show.builds(builds)
    return builds


async def _until_reported(stage: Stage, service: Service, builds: list[Build]) -> list[str]:
    """Give statuses a moment to arrive; then what is not as expected."""
    deadline = time.monotonic() + 15
    while True:
        problems = await _problems(stage, service, builds)
        if not problems or time.monotonic() > deadline:
            return problems
        await asyncio.sleep(0.1)


async def _problems(stage: Stage, service: Service, builds: list[Build]) -> list[str]:
    """Every difference between what is and what must be."""
    found = {build.key: build for build in builds}
    problems = [f"unexpected build {key}" for key in found if key not in SECOND_PUSH]
    problems += [
        f"{key} is {found[key].status}, not {wanted}"
        for key, wanted in SECOND_PUSH.items()
        if found[key].status != wanted
    ]
    problems += [
        f"{key} was built on {found[key].builder}, not on {wanted}"
        for key, wanted in BUILT_ON.items()
        if found[key].builder != wanted
    ]
    errors = await service.evaluation_errors(builds)
    if errors != EVALUATION_ERRORS:
        problems.append(f"jobs that cannot be evaluated: {sorted(errors)}, not {sorted(EVALUATION_ERRORS)}")
    reported = {
        status.context: status.state
        for by_context in stage.forge.statuses.values()
        for status in by_context.values()
    }
    for key, wanted in SECOND_PUSH.items():
        state = "success" if wanted == "succeeded" else "failure"
        if reported.get(f"fc/{key}") != state:
            problems.append(f"the forge shows {reported.get(f'fc/{key}')} for {key}, not {state}")
    return problems


async def _until_stopped(service: Service, stopped: asyncio.Event) -> None:
    while not stopped.is_set():
        service.check_alive()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 1)


@contextlib.asynccontextmanager
async def _stage(directory: Path) -> AsyncIterator[Stage]:
    """Forge, remote builder and repositories, up while the block runs."""
    nix = Nix.discover(_nix_settings(directory))
    token = secrets.token_urlsafe()
    async with (
        StandInForge(token=token) as forge,
        SshBuilder(directory / "builder", nix) as builder,
        PushHooks() as hooks,
    ):
        (directory / "secrets").mkdir(mode=0o700)
        _write_secret(directory, "forge-token", token)
        repositories = {}
        origin = directory / "git"
        origin.mkdir()
        for name in ("configuration", "greeting", "toolbox"):
            repositories[name] = make_repository(origin, name, hooks.port)
            hooks.secrets[name] = secrets.token_urlsafe()
            _write_secret(directory, f"{name}-webhook", hooks.secrets[name])
        values = {
            "system": nix.system,
            "forge_url": forge.url,
            "greeting_url": repositories["greeting"].url,
            "toolbox_url": repositories["toolbox"].url,
            "builder_uri": builder.ssh_uri,
            "builder_host_key": builder.public_host_key,
            "builder_key_file": str(builder.client_key_file),
        }
        for repository in repositories.values():
            fill(repository, values)
            await asyncio.to_thread(repository.push, f"Begin {repository.name}")
        yield Stage(directory, forge, builder, hooks, repositories, nix)


def _nix_settings(directory: Path) -> Settings:
    """A chroot store of the demo's own, and no network."""
    data = directory / "data"
    return Settings(
        data_dir=data, nix=NixSettings(store=str(data / "nix-store"), options={"substituters": ""})
    )


def _service(stage: Stage, port: int) -> Service:
    url = f"http://127.0.0.1:{port}"
    settings_file = stage.directory / "fc.yaml"
    settings_file.write_text(
        f"""# Written by fcctl demo.
data_dir: {stage.directory}/data
web: {{host: 127.0.0.1, port: {port}}}
configuration: {{url: "{stage.repositories["configuration"].url}", webhook_secret: configuration-webhook}}
nix: {{store: {stage.directory}/data/nix-store, options: {{substituters: ""}}}}
secrets: {{directory: {stage.directory}/secrets}}
log: {{form: console}}
""",
        encoding="utf-8",
    )
    return Service(settings_file, url, stage.directory / "fc.log")


def _push_second_jobset(repository: Repository) -> None:
    file = repository.work / "projects.yaml"
    main = "      main: {branch: main, nix_expression: release.nix, flake_mode: false, check_interval: 5m}\n"
    nightly = (
        "      nightly: {branch: main, nix_expression: nightly.nix, flake_mode: false, check_interval: 1h}\n"
    )
    text = file.read_text(encoding="utf-8")
    assert main in text
    file.write_text(text.replace(main, main + nightly), encoding="utf-8")
    repository.push("Add the jobset nightly to greeting")


def _write_secret(directory: Path, name: str, value: str) -> None:
    file = directory / "secrets" / name
    file.touch(mode=0o600)
    file.write_text(value, encoding="utf-8")


def _empty(directory: Path) -> None:
    """Make ``directory`` an empty one of ours; never remove what a demo did not make."""
    if shutil.which("git") is None:
        message = "git is not installed: it is not on PATH; install it (Debian: apt-get install git)"
        raise EnvironmentMissingError(message)
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARKER).exists():
            message = f"{directory} is not empty and no demo made it; choose another --directory"
            raise EnvironmentMissingError(message)
        remove_tree(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / _MARKER).touch()
    except OSError as error:
        message = f"{directory} cannot be written: {error.strerror}; choose another --directory"
        raise EnvironmentMissingError(message) from error


def remove_tree(directory: Path) -> None:
    """Remove ``directory``, read-only store paths in it as well."""
    for path in [directory, *directory.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(directory)
