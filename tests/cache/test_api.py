"""The cache over HTTP: what clients are told, and how NARs stream."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from fc.base.settings import CacheSettings, Settings
from fc.cache.api import ROUTES, cache_info
from fc.cache.record import record_next
from fc.nix.hashes import format_sha256
from fc.nix.nar import File, encode_nar
from fc.nix.narinfo import fingerprint, parse_narinfo
from fc.nix.signing import SigningKey, verify
from fc.nix.storepath import parse_store_path
from tests.cache.conftest import World
from tests.support.built import add_derivation
from tests.support.waiting import eventually
from tests.support.web_app import serving

DRV = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-big.drv"
MISSING = "/ljdzr8f3z97qi6zbxhngmavcbsh7pr30.narinfo"


@pytest.fixture
async def address(world: World, settings: Settings) -> AsyncIterator[str]:
    async with serving(ROUTES, database=world.database, nix=world.nix, settings=settings) as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address) as opened:
        yield opened


def narinfo_of(path: str) -> str:
    return f"/{parse_store_path(path).hash_part}.narinfo"


async def add_big(world: World, size: int) -> str:
    """A file of ``size`` bytes in the store, recorded as an output."""
    path = world.add("big", b"0123456789abcdef" * (size // 16))
    await add_derivation(world.database, DRV, {"out": path})
    await record_next(world.database, world.nix)
    return path


def dumping(path: Path) -> list[int]:
    """Processes that dump ``path``."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = command.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if b"--dump" in arguments and str(path).encode() in arguments:
            found.append(int(command.parent.name))
    return found


async def test_the_cache_introduces_itself(client: httpx.AsyncClient) -> None:
    response = await client.get("/nix-cache-info")
    assert response.text == "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n"
    assert response.headers["content-type"].startswith("text/x-nix-cache-info")
    head = await client.head("/nix-cache-info")
    assert (head.status_code, head.content) == (200, b"")


async def test_people_are_shown_the_address_and_the_public_key(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    response = await client.get("/api/v1/cache")
    assert response.json()["url"] == "https://fc.example.org"
    assert response.json()["public_key"].startswith("fc.example.org-1:")
    info = cache_info(settings)
    assert info is not None
    assert response.json() == msgspec.to_builtins(info)


async def test_a_narinfo_is_signed(client: httpx.AsyncClient, world: World) -> None:
    app = await world.build("app")
    response = await client.get(narinfo_of(app))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/x-nix-narinfo")
    narinfo = parse_narinfo(response.text)
    assert narinfo.info.path == app
    assert (narinfo.compression, narinfo.file_hash) == ("none", narinfo.info.nar_hash)
    public_key = (await client.get("/api/v1/cache")).json()["public_key"]
    assert verify(fingerprint(narinfo.info), narinfo.info.signatures, [public_key])


async def test_an_old_signature_by_the_same_name_is_replaced(
    client: httpx.AsyncClient, world: World, settings: Settings
) -> None:
    library = await world.build("library")
    await record_next(world.database, world.nix)
    await world.database.execute(
        "UPDATE cache_paths SET signatures = ARRAY['fc.example.org-1:old', 'other-1:x']"
    )
    signatures = parse_narinfo((await client.get(narinfo_of(library))).text).info.signatures
    assert len(signatures) == 2
    assert signatures[0] == "other-1:x"
    assert signatures[1].startswith("fc.example.org-1:")
    assert signatures[1] != "fc.example.org-1:old"


async def test_a_head_request_says_whether_a_path_is_there(client: httpx.AsyncClient, world: World) -> None:
    library = await world.build("library")
    found = await client.head(narinfo_of(library))
    assert (found.status_code, found.content) == (200, b"")
    absent = await client.head(MISSING)
    assert (absent.status_code, absent.content) == (404, b"")


@pytest.mark.parametrize(
    "target",
    [
        MISSING,
        "/short.narinfo",
        "/.narinfo",
        "/LJDZR8F3Z97QI6ZBXHNGMAVCBSH7PR30.narinfo",
        "/ljdzr8f3z97qi6zbxhngmavcbsh7pr30",
        "/robots.txt",
        "/nar/",
        "/nar/x.nar",
        "/nar/ljdzr8f3z97qi6zbxhngmavcbsh7pr30.nar",
        "/nar/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-0.nar",
        "/nar/..%2f..%2fetc%2fpasswd",
    ],
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, target: str) -> None:
    assert (await client.get(target)).status_code == 404


async def test_a_nar_is_the_one_that_the_narinfo_describes(client: httpx.AsyncClient, world: World) -> None:
    app = await world.build("app")
    narinfo = parse_narinfo((await client.get(narinfo_of(app))).text)
    response = await client.get(f"/{narinfo.url}")
    assert response.headers["content-type"] == "application/x-nix-nar"
    assert int(response.headers["content-length"]) == narinfo.info.nar_size
    assert format_sha256(hashlib.sha256(response.content).digest()) == narinfo.info.nar_hash
    assert response.content == encode_nar(File(world.nix.physical(app).read_bytes()))
    head = await client.head(f"/{narinfo.url}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == response.headers["content-length"]


async def test_a_nar_of_other_contents_is_not_found(client: httpx.AsyncClient, world: World) -> None:
    library, app = await world.build("library"), await world.build("app")
    url = parse_narinfo((await client.get(narinfo_of(library))).text).url
    other = parse_narinfo((await client.get(narinfo_of(app))).text).url
    mixed = f"/nar/{url.removeprefix('nar/').partition('-')[0]}-{other.partition('-')[2]}"
    assert (await client.get(mixed)).status_code == 404


async def test_a_path_that_the_store_has_lost_is_forgotten(client: httpx.AsyncClient, world: World) -> None:
    library = await world.build("library")
    url = parse_narinfo((await client.get(narinfo_of(library))).text).url
    world.delete(library)
    assert (await client.get(f"/{url}")).status_code == 404
    assert (await client.get(narinfo_of(library))).status_code == 404
    world.run(
        "nix-store",
        "--realise",
        world.run("nix-instantiate", str(world.directory / "release.nix"), "-A", "library"),
    )
    await world.database.execute("UPDATE derivations SET completed_at = completed_at + interval '1 second'")
    assert (await client.get(f"/{url}")).status_code == 200


async def test_a_cache_that_is_off_does_not_exist(world: World, settings: Settings) -> None:
    library = await world.build("library")
    off = msgspec.structs.replace(settings, cache=CacheSettings(enabled=False))
    async with (
        serving(ROUTES, database=world.database, nix=world.nix, settings=off) as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        for target in ("/nix-cache-info", "/api/v1/cache", narinfo_of(library), "/nar/x.nar"):
            assert (await client.get(target)).status_code == 404


async def test_a_given_key_and_priority_are_used(world: World, settings: Settings, tmp_path: Path) -> None:
    key = SigningKey.generate("mine-1")
    (tmp_path / "key").write_text(key.secret_text)
    chosen = msgspec.structs.replace(settings, cache=CacheSettings(signing_key=tmp_path / "key", priority=7))
    async with (
        serving(ROUTES, database=world.database, nix=world.nix, settings=chosen) as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        assert (await client.get("/api/v1/cache")).json()["public_key"] == key.public_text
        assert "Priority: 7\n" in (await client.get("/nix-cache-info")).text


async def test_a_client_that_leaves_ends_the_process_that_dumps(address: str, world: World) -> None:
    path = await add_big(world, 64 << 20)
    async with httpx.AsyncClient(base_url=address) as client:
        url = parse_narinfo((await client.get(narinfo_of(path))).text).url
    place = urlsplit(address)
    # A client that reads a little and then waits: its buffers fill, and the dump waits, too.
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(f"GET /{url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        begin = await asyncio.to_thread(connection.recv, 1024)
        assert begin.startswith(b"HTTP/1.1 200")
        assert len(dumping(world.nix.physical(path))) == 1

    async def gone() -> bool:
        return not dumping(world.nix.physical(path))

    await eventually(gone, "the dump has ended", within=30)


async def test_a_slow_client_gets_everything_and_the_server_holds_little(address: str, world: World) -> None:
    size = 96 << 20
    path = await add_big(world, size)
    held = 0
    received = hashlib.sha256()
    async with httpx.AsyncClient(base_url=address) as client:
        narinfo = parse_narinfo((await client.get(narinfo_of(path))).text)
        before = resident()
        async with client.stream("GET", f"/{narinfo.url}") as response:
            async for piece in response.aiter_raw():
                received.update(piece)
                held = max(held, resident() - before)
    assert format_sha256(received.digest()) == narinfo.info.nar_hash
    assert held < size // 3


def resident() -> int:
    """Bytes of memory this process, which is also the server, has in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.parametrize("difference", [-8, 8])
async def test_a_nar_of_another_size_is_never_taken_for_the_whole(
    client: httpx.AsyncClient, world: World, difference: int
) -> None:
    library = await world.build("library")
    url = parse_narinfo((await client.get(narinfo_of(library))).text).url
    await world.database.execute("UPDATE cache_paths SET nar_size = nar_size + $1", difference)
    try:
        response = await client.get(f"/{url}")
    except httpx.RemoteProtocolError:
        return  # cut off in the middle
    assert response.status_code == 500  # found out before the first byte
