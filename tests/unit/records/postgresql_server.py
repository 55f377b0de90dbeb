"""A PostgreSQL of our own, on loopback: started, stopped, frozen, and asked behind the code's back.

It refuses to run as root: root starts it as the user `postgres`, in a folder that both can enter.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import trustme

from serve_app.config import RecordsConfig

SUPERUSER, USER, PASSWORD = "postgres", "krea", "p@ss/word"
QUOTED_PASSWORD = "p%40ss%2Fword"
READY_WITHIN_S = 60
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 * 2**30

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a test's data need not survive the machine
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "deadlock_timeout": "100ms",
    "ssl": "on",
    "logging_collector": "off",
}


def programs() -> Path | None:
    """Return the folder of the server's programs; None where it is not installed."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = debian[-1:] or ([Path(on_path).resolve()] if on_path else [])
    return found[0].parent if found and shutil.which("psql") else None


class PostgresqlServer:
    """A server in a folder of its own.

    Attributes:
        port: On 127.0.0.1.
        certificate_authority: A file with whom its TLS certificate is from.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log"
        self._account = _account()
        self._process: subprocess.Popen[Any] | None = None
        self._names = (f"test_{number}" for number in itertools.count())
        self.port = _free_port()
        self.certificate_authority = folder / "ca.pem"
        if self._account:
            shutil.chown(folder, self._account["user"], self._account["group"])
        self._make(folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        program, data = str(self._programs / "postgres"), str(self._data)
        command = [program, "-D", data, "-p", str(self.port), *settings]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **self._account)
        self._process = process
        deadline = time.monotonic() + READY_WITHIN_S
        while self._psql("postgres", "SELECT 1").returncode != 0:
            assert process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def stop(self, is_crash: bool = False) -> None:
        """End it; as after a crash, it has to recover at the next start."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT if is_crash else signal.SIGINT)
        self._process.wait(READY_WITHIN_S)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let none of its processes do anything for the length of the block."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        server.suspend()  # first, so that it starts no other
        backends = server.children(recursive=True)
        for backend in backends:
            backend.suspend()
        try:
            yield
        finally:
            for process in (*backends, server):
                process.resume()

    def run(self, statement: str, database: str = "postgres") -> list[str]:
        """Return the rows of a statement of the superuser, as text."""
        done = self._psql(database, statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def make_database(self, template: str = "template1") -> str:
        """Make a copy of a database and return its name."""
        name = next(self._names)
        self.run(f"CREATE DATABASE {name} OWNER {USER} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever uses it."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def shut(self, name: str) -> None:
        """Close all connections to a database, and let nobody make another."""
        self.run(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def open(self, name: str) -> None:
        """Let in again who was shut out."""
        self.run(f"ALTER DATABASE {name} CONNECTION LIMIT -1")

    def url(self, database: str) -> str:
        """Return where a database is, as an operator writes it."""
        return f"postgresql://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def config(self, database: str, timeout_s: float = 60) -> RecordsConfig:
        """Return the configuration of a database; patient, for the tests of a busy machine."""
        return RecordsConfig(url=self.url(database), timeout_s=timeout_s)

    def _make(self, folder: Path) -> None:
        (folder / "password").write_text(PASSWORD)
        self._own(folder / "password")
        subprocess.run(
            [
                *(self._programs / "initdb", "-D", self._data, "-U", SUPERUSER, "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={folder / 'password'}"),
                *("--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **self._account,
        )
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.certificate_authority)
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(self._data / "server.crt")
        certificate.private_key_pem.write_to_path(self._data / "server.key")
        self._own(self._data / "server.crt")
        self._own(self._data / "server.key")

    def _own(self, file: Path) -> None:
        file.chmod(0o600)
        if self._account:
            shutil.chown(file, self._account["user"], self._account["group"])

    def _psql(self, database: str, statement: str) -> subprocess.CompletedProcess[str]:
        where = f"host=127.0.0.1 port={self.port} user={SUPERUSER} dbname={database}"
        return subprocess.run(
            ["psql", "-XAtq", "-d", where, "-c", statement],
            env=os.environ | {"PGPASSWORD": PASSWORD, "PGSSLMODE": "disable"},
            check=False,
            capture_output=True,
            text=True,
        )


@contextmanager
def running_server(programs: Path) -> Iterator[PostgresqlServer]:
    """A server for the length of the block, with the user that the tests are."""
    with tempfile.TemporaryDirectory(prefix="krea-serve-postgresql-", dir=_roomy()) as folder:
        server = PostgresqlServer(Path(folder), programs)
        server.start()
        try:
            server.run(f"CREATE USER {USER} PASSWORD '{PASSWORD}'")
            yield server
        finally:
            server.stop()


def _roomy() -> Path | None:
    """Return where files stay in memory, if there is room; None: where all temporary ones are.

    A database for each test is hundreds of files.
    """
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if is_roomy and os.access(MEMORY, os.W_OK) else None


def _account() -> dict[str, Any]:
    """Return what `subprocess` is told for a server to run as nobody's root."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
