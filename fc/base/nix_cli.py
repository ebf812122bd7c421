"""How Nix is called on this machine: its binaries, its store, a clean environment."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fc.base.data_dir import prepare_data_dir
from fc.base.errors import EnvironmentMissingError
from fc.base.settings import NixSettings, Settings

_DAEMON_SOCKET = Path("/nix/var/nix/daemon-socket/socket")
_INSTALL = "install Nix (Debian and Ubuntu: apt-get install nix-bin busybox-static; elsewhere: https://nixos.org/download) or set nix.bin_dir"
_STATIC_SHELLS = ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/bin/busybox.static")


@dataclass(frozen=True, slots=True)
class Nix:
    """A Nix that works here."""

    bin_dir: Path
    version: str
    store: str | None
    """Store URI or directory given as ``--store``; none: Nix chooses."""
    store_root: Path | None
    """Physical root of a chroot store; none: store paths are where they say."""
    home: Path
    """An empty home directory for Nix's own caches, below the data directory."""
    options: dict[str, str]
    system: str
    """The system built locally, such as ``x86_64-linux``."""
    systems: tuple[str, ...]

    @classmethod
    def discover(cls, settings: Settings) -> "Nix":
        """Find Nix and decide on the head's store.

        Raises:
            EnvironmentMissingError: there is no Nix, it cannot build here, or the data directory cannot be
                written; says what to do.
        """
        bin_dir = _find_bin_dir(settings.nix)
        data_dir = prepare_data_dir(settings.data_dir)
        store, root = _choose_store(settings.nix, data_dir)
        home = data_dir / "nix-home"
        home.mkdir(exist_ok=True)
        if root is not None:
            _make_root(root)
            _check_namespaces()
        options = _options(settings.nix, chroot=root is not None)
        version = _version(bin_dir)
        system = settings.nix.system or machine_system()
        return cls(
            bin_dir=bin_dir,
            version=version,
            store=store,
            store_root=root,
            home=home,
            options=options,
            system=system,
            systems=(system, *settings.nix.extra_systems, "builtin"),
        )

    def command(self, program: str, *args: str) -> list[str]:
        """The command line of a Nix program (``nix-store``, ``nix-instantiate``, ``nix``) on the head's store."""
        store = ("--store", self.store) if self.store is not None else ()
        return [str(self.bin_dir / program), *args, *store]

    def environment(self) -> dict[str, str]:
        """A clean environment: nothing of FC's own, above all no secret, reaches Nix or an expression."""
        return {
            "PATH": f"{self.bin_dir}:/usr/bin:/bin",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "LANG": "C.UTF-8",
            "NIX_CONFIG": "\n".join(f"{name} = {value}" for name, value in self.options.items()),
        }

    def initialise(self) -> None:
        """Make the database of a chroot store that has none.

        Done once, before anything else: Nix processes that begin together on a new store get in each other's way.

        Raises:
            EnvironmentMissingError: Nix cannot make it; says why.
        """
        if self.store_root is None or (self.store_root / "nix/var/nix/db/db.sqlite").exists():
            return
        result = subprocess.run(  # noqa: S603 - a fixed command
            self.command("nix-store", "--init"),
            check=False,
            capture_output=True,
            text=True,
            env=self.environment(),
        )
        if result.returncode != 0:
            message = f"Nix cannot make its store below {self.store_root}: {result.stderr.strip()}"
            raise EnvironmentMissingError(message)

    def physical(self, store_path: str) -> Path:
        """Where ``store_path`` really is on this machine's disk."""
        if self.store_root is None:
            return Path(store_path)
        return self.store_root / store_path.lstrip("/")


def _find_bin_dir(settings: NixSettings) -> Path:
    if settings.bin_dir is not None:
        if not (settings.bin_dir / "nix-store").exists():
            message = f"nix.bin_dir is {settings.bin_dir}, but there is no nix-store in it; {_INSTALL}"
            raise EnvironmentMissingError(message)
        return settings.bin_dir.absolute()
    found = shutil.which("nix-store")
    if found is None:
        message = f"Nix is not installed: nix-store is not on PATH; {_INSTALL}"
        raise EnvironmentMissingError(message)
    return Path(found).absolute().parent


def _choose_store(settings: NixSettings, data_dir: Path) -> tuple[str | None, Path | None]:
    """The ``--store`` argument and, for a chroot store, its physical root."""
    if settings.store == "auto":
        if os.access(_DAEMON_SOCKET, os.W_OK):
            return "daemon", None
        if os.access("/nix/store", os.W_OK) and os.access("/nix/var/nix", os.W_OK):
            return None, None
        root = data_dir / "nix-store"
        return str(root), root
    if "://" in settings.store or settings.store in {"daemon", "local"}:
        return settings.store, None
    root = Path(settings.store).absolute()
    return str(root), root


def _make_root(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = (
            f"nix.store: {root} cannot be made: {error.strerror or error}; make it, or choose another place"
        )
        raise EnvironmentMissingError(message) from None


def _options(settings: NixSettings, *, chroot: bool) -> dict[str, str]:
    options = {"experimental-features": "nix-command flakes"}
    if chroot:
        # A chroot store is built in a namespace: no build users, and a shell of its own as /bin/sh.
        options |= {"sandbox": "true", "sandbox-fallback": "false", "build-users-group": ""}
        shell = next((shell for shell in _STATIC_SHELLS if Path(shell).exists()), None)
        if shell is not None:
            options["sandbox-paths"] = f"/bin/sh={shell}"
    return options | settings.options


def _check_namespaces() -> None:
    """Builds in a chroot store need user and mount namespaces; some containers and kernels forbid them."""
    # Asked of a process of its own: what is unshared cannot be undone.
    probe = (
        "import ctypes, os, sys; uid = os.getuid(); libc = ctypes.CDLL(None, use_errno=True);"
        "flags = 0x20000 | (0x10000000 if uid else 0);"  # CLONE_NEWNS, and CLONE_NEWUSER for an ordinary user
        "sys.exit(0 if libc.unshare(flags) == 0 else ctypes.get_errno())"
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", probe], check=False, capture_output=True)  # noqa: S603 - our own text
    if result.returncode != 0:
        message = (
            f"Nix cannot build here: namespaces are forbidden ({os.strerror(result.returncode)}). Allow them (sysctl "
            "kernel.unprivileged_userns_clone=1, user.max_user_namespaces; in a container: --privileged), or install "
            "the Nix daemon and set nix.store: daemon"
        )
        raise EnvironmentMissingError(message)


def machine_system() -> str:
    """What Nix calls this machine, such as ``x86_64-linux``."""
    machine = os.uname()
    return f"{machine.machine}-{machine.sysname.lower()}"


def _version(bin_dir: Path) -> str:
    """Asked of ``nix``, not of nix-store: that one would first open, or even make, the machine's own store."""
    program = bin_dir / "nix"
    try:
        result = subprocess.run(  # noqa: S603 - a fixed command
            [str(program), "--version"],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
            env={"PATH": f"{bin_dir}:/usr/bin:/bin"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or "").strip()
        message = f"{program} does not work: {error}{': ' if said else ''}{said}; {_INSTALL}"
        raise EnvironmentMissingError(message) from error
    return result.stdout.strip().rsplit(" ", 1)[-1]
