"""The text and the options that Nix is given for an evaluation."""

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fc.base.errors import InvalidInputError, NixError
from fc.base.nix_cli import Nix
from fc.base.process import run_process
from fc.evaluate.request import EvaluationRequest, flake_target, relative_path
from fc.evaluate.shards import AttrPath

SOURCE_INPUT = "src"
"""Argument and search path entry under which an expression finds its own repository."""

_INLINE_NAMES = 48
"""Sets with more names than this are evaluated by several processes."""
_DEEPEST = 12
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
_HASH_SECONDS = 300
_LOCKED_PLACES = "https:// git+https:// git+ssh:// tarball+https:// github: gitlab: sourcehut:"
"""Where the locked inputs of a flake may come from: each is checked against its hash."""


async def expression_config(nix: Nix, request: EvaluationRequest) -> dict[str, Any]:
    """What ``jobs.nix`` needs to know about a request.

    Raises:
        InvalidInputError: the expression is not inside the repository, or there is no such file.
        NixError: a flake's source cannot be hashed.
    """
    inputs = {
        name: {"type": given.type, "value": given.value, "path": given.path, "revision": given.revision}
        for name, given in request.inputs.items()
    }
    source = {"type": "git", "value": "", "path": str(request.source), "revision": request.revision}
    return {
        "inputs": {SOURCE_INPUT: source} | inputs,
        "root": await _root(nix, request),
        "depth": _DEEPEST,
        "inline": _INLINE_NAMES,
    }


async def _root(nix: Nix, request: EvaluationRequest) -> dict[str, Any]:
    if not request.flake_mode:
        file = request.source / relative_path(request.expression)
        if not (file.exists() or file.is_symlink()):
            message = f"there is no {request.expression!r} in the repository"
            raise InvalidInputError(message)
        return {"file": str(file)}
    target = flake_target(request.expression)
    # Old versions of Nix know no ?dir= here: a flake in a directory sees that directory alone.
    tree = request.source / target.directory
    if not (tree / "flake.nix").is_file():
        message = f"there is no {target.directory and target.directory + '/'}flake.nix in the repository"
        raise InvalidInputError(message)
    # Revision or hash make it a locked flake, depending on the version; with the hash known, Nix asks for the time too,
    # and every file carries the commit's.
    seconds = int(tree.stat().st_mtime)
    hashed = quote(await _nar_hash(nix, tree), safe="")
    lock = f"rev={request.revision}&narHash={hashed}&lastModified={seconds}"
    place = str(tree) if _PLAIN_PATH.fullmatch(str(tree)) else await _added(nix, tree)
    return {"flake": f"path:{place}?{lock}", "attributes": list(target.attributes)}


async def _added(nix: Nix, tree: Path) -> str:
    """The store path of a copy of ``tree``: old versions of Nix cannot read every path out of a URL.

    The copy is what a flake's source is in the store, so that with its hash known it is not even looked at again.
    """
    text = f'builtins.path {{ name = "source"; path = /. + {_quoted(str(tree))}; }}'
    command = nix.command("nix-instantiate", "--eval", "--json", "--read-write-mode", "-")
    result = await run_process(
        command, environment=nix.environment(), given=text.encode(), timeout=_HASH_SECONDS
    )
    if result.status != 0:
        message = (
            f"the source cannot be copied to the store: {result.errors.decode(errors='replace').strip()}"
        )
        raise NixError(message)
    path: str = json.loads(result.output)
    return path


async def _nar_hash(nix: Nix, tree: Path) -> str:
    """The hash of a tree's NAR, as flakes write it."""
    command = [str(nix.bin_dir / "nix-hash"), "--type", "sha256", str(tree)]
    result = await run_process(command, environment=nix.environment(), timeout=_HASH_SECONDS)
    if result.status != 0:
        message = f"nix-hash failed: {result.errors.decode(errors='replace').strip()}"
        raise NixError(message)
    return "sha256-" + base64.b64encode(bytes.fromhex(result.output.decode().strip())).decode()


def jobs_text() -> str:
    """The expression that finds jobs; a function of its configuration."""
    return Path(__file__).with_name("jobs.nix").read_text(encoding="utf-8")


def walk_text(config: dict[str, Any], token: str, paths: Iterable[AttrPath], *, tolerant: bool) -> bytes:
    """The expression that answers for each of ``paths``, on lines that hold ``token``."""
    whole = config | {
        "walk": True,
        "token": token,
        "paths": [list(path) for path in paths],
        "tolerant": tolerant,
    }
    return _applied(whole).encode()


def marked_text(config: dict[str, Any]) -> str:
    """The expression whose value is the set of all jobs, every set of jobs marked with ``recurseForDerivations``."""
    return _applied(config | {"walk": False, "token": "", "paths": [], "tolerant": False})


def _applied(config: dict[str, Any]) -> str:
    return f"({jobs_text()}) (builtins.fromJSON {_quoted(json.dumps(config, ensure_ascii=False))})\n"


def _quoted(text: str) -> str:
    """``text`` as a string of the Nix language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def options(nix: Nix, request: EvaluationRequest) -> list[str]:
    """Options of the evaluating program: what the expression may read and do."""
    given = {
        "allow-import-from-derivation": "true" if request.allow_import_from_derivation else "false",
        "restrict-eval": "true" if request.restrict else "false",
        "pure-eval": "true" if request.restrict and request.flake_mode else "false",
    }
    if request.restrict and request.flake_mode and "allowed-uris" not in nix.options:
        given["allowed-uris"] = _LOCKED_PLACES
    arguments = [part for name, value in given.items() for part in ("--option", name, value)]
    paths = {SOURCE_INPUT: str(request.source)}
    paths |= {name: given.path for name, given in request.inputs.items() if given.type in {"git", "path"}}
    for name, path in paths.items():
        arguments += ["-I", f"{name}={path}"]
    return arguments
