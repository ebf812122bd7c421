"""The binary cache as Nix asks for it, and what people need to use it.

What is served: the closures of outputs of built derivations, as recorded in ``cache_paths``. There is no listing; a
path is asked for by the hash in its name. Derivations, sources that no output refers to, outputs of failed builds and
whatever else is in the head's store do not exist here. A signature says that this FC has built the path or has it as
part of what it has built, be it for a branch or a pull request; it does not say that anybody has reviewed it.
"""

from pathlib import Path

import msgspec
from litestar import HttpMethod, Request, Response, get, route
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from fc.cache.keys import signing_key
from fc.cache.nars import NarResponse
from fc.cache.record import find_path, forget_path
from fc.nix.narinfo import NarInfo, fingerprint, format_narinfo
from fc.nix.path_info import PathInfo
from fc.nix.storepath import STORE_DIR, is_hash_part, parse_store_path

_READ = [HttpMethod.GET, HttpMethod.HEAD]
_NARINFO = ".narinfo"
_NAR = ".nar"

AnyRequest = Request[None, None, State]


class CacheInfo(msgspec.Struct, frozen=True):
    """What goes into a client's ``nix.conf``."""

    url: str
    """For ``substituters``."""
    public_key: str
    """For ``trusted-public-keys``."""
    priority: int
    """Lower is asked first; cache.nixos.org has 40."""
    store_dir: str


def cache_info(settings: Settings) -> CacheInfo | None:
    """What clients need to know; none: the cache is off.

    Raises:
        EnvironmentMissingError: there is no usable signing key.
    """
    if not settings.cache.enabled:
        return None
    return CacheInfo(
        settings.public_url, signing_key(settings).public_text, settings.cache.priority, STORE_DIR
    )


@get(
    "/api/v1/cache", tags=["cache"], summary="Address and public key of the binary cache", sync_to_thread=True
)
def show_cache(settings: Settings) -> CacheInfo:
    """Address and public key of the binary cache."""
    info = cache_info(settings)
    if info is None:
        raise NotFoundException
    return info


@route("/nix-cache-info", http_method=_READ, include_in_schema=False)
async def nix_cache_info(request: AnyRequest, settings: Settings) -> Response[str]:
    """What Nix asks a cache first."""
    _require_enabled(settings)
    text = f"StoreDir: {STORE_DIR}\nWantMassQuery: 1\nPriority: {settings.cache.priority}\n"
    return _text(request, text, "text/x-nix-cache-info")


@route("/{file_name:str}", http_method=_READ, include_in_schema=False)
async def narinfo(
    request: AnyRequest, file_name: str, database: Database, nix: Nix, settings: Settings
) -> Response[str]:
    """``/<hash part>.narinfo``: what the cache knows of one path, signed."""
    hash_part = file_name.removesuffix(_NARINFO)
    if hash_part == file_name:
        raise NotFoundException  # any other page that does not exist
    _require_enabled(settings)
    info = await find_path(database, nix, hash_part) if is_hash_part(hash_part) else None
    if info is None:
        return Response(
            "" if request.method == HttpMethod.HEAD else "404", status_code=404, media_type="text/plain"
        )
    key = signing_key(settings)
    signatures = [text for text in info.signatures if not text.startswith(f"{key.name}:")]
    signed = msgspec.structs.replace(info, signatures=(*signatures, key.sign(fingerprint(info))))
    text = format_narinfo(
        NarInfo(info=signed, url=f"nar/{_nar_name(info)}", file_hash=info.nar_hash, file_size=info.nar_size)
    )
    return _text(request, text, "text/x-nix-narinfo")


@route("/nar/{file_name:str}", http_method=_READ, include_in_schema=False)
async def nar(file_name: str, database: Database, nix: Nix, settings: Settings) -> ASGIApp:
    """``/nar/<hash part>-<hash of the NAR>.nar``: the NAR itself, as it is."""
    _require_enabled(settings)
    hash_part = file_name.partition("-")[0]
    info = await find_path(database, nix, hash_part) if is_hash_part(hash_part) else None
    if info is None or file_name != _nar_name(info):
        return _absent()
    path = nix.physical(info.path)
    if not _exists(path):
        await forget_path(database, info)
        return _absent()
    return NarResponse(nix, path, info.nar_size)


ROUTES = [show_cache, nix_cache_info, narinfo, nar]
"""What the application serves of the cache; Nix's own addresses have no prefix."""


def _require_enabled(settings: Settings) -> None:
    if not settings.cache.enabled:
        raise NotFoundException


def _text(request: AnyRequest, text: str, media_type: str) -> Response[str]:
    return Response("" if request.method == HttpMethod.HEAD else text, media_type=media_type)


def _absent() -> ASGIResponse:
    return ASGIResponse(status_code=404, body=b"", media_type="text/plain")


def _exists(path: Path) -> bool:
    """Whether something stands at ``path``, be it a symbolic link that leads nowhere."""
    return path.exists() or path.is_symlink()


def _nar_name(info: PathInfo) -> str:
    """A name that stands for these contents for ever."""
    assert info.nar_hash is not None
    hash_part = parse_store_path(info.path).hash_part
    return f"{hash_part}-{info.nar_hash.removeprefix('sha256:')}{_NAR}"
