"""PostgreSQL as the system's package brings it, with a data folder and a port of its own."""

import glob
import os
import pwd
import re
import shutil
import subprocess
import tempfile

from . import process
from .place import Failure

START_SECONDS = 60
STOP_SECONDS = 30

SETTINGS = """\
# Written by bin/services at every start.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 300
max_prepared_transactions = 5
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off
"""


class Postgres:
    """The server of one services' folder. Root may not run it, so for root everything goes through the user `postgres`."""

    name = "postgres"

    def __init__(self, place):
        self.place = place
        self.link = place.path("postgres")

    @property
    def data(self):
        return os.path.realpath(self.link)

    @property
    def log(self):
        return os.path.join(self.data, "server.log")

    def pid(self):
        return process.living_pid(os.path.join(self.data, "postmaster.pid"), self.data)

    def url(self):
        port = self.place.port("postgres")
        return port and f"postgres://postgres@127.0.0.1:{port}/postgres"

    def status(self):
        pid = self.pid()
        return {"url": self.url(), "pid": pid, "running": pid is not None, "log": self.log}

    def start(self):
        programs = find_programs()
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._create(programs)
        settings = SETTINGS.format(port=self.place.choose_port("postgres"))
        self._run("tee", os.path.join(self.data, "services.conf"), typed=settings)
        started = self._run(
            f"{programs}/pg_ctl", "start", "-w", "-s", "-t", str(START_SECONDS), "-D", self.data, "-l", self.log,
        )
        if started.returncode != 0:
            raise Failure(f"postgres did not start: {started.stderr}the end of {self.log}:\n{process.tail(self.log)}")

    def stop(self):
        pid = self.pid()
        stopped = self._run(
            f"{find_programs()}/pg_ctl", "stop", "-w", "-s", "-m", "fast", "-t", str(STOP_SECONDS), "-D", self.data,
        )
        if stopped.returncode != 0:
            raise Failure(f"postgres did not stop: {stopped.stderr}")
        process.wait_until(lambda: process.has_ended(pid), STOP_SECONDS)

    def _create(self, programs):
        self._make_folder()
        created = self._run(
            f"{programs}/initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions",
        )
        if created.returncode != 0:
            raise Failure(f"initdb failed: {created.stderr}")
        self._run("tee", "-a", os.path.join(self.data, "postgresql.conf"), typed="include 'services.conf'\n")

    def _make_folder(self):
        if not os.path.lexists(self.link):
            os.mkdir(self.link, 0o700)
        if os.geteuid() != 0:
            return
        owner = pwd.getpwnam("postgres")
        os.chown(self.data, owner.pw_uid, owner.pw_gid)
        if self._run("test", "-w", self.data).returncode == 0:
            return
        os.rmdir(self.link)
        elsewhere = tempfile.mkdtemp(prefix="replicates-to-postgres-", dir="/var/tmp")
        os.chown(elsewhere, owner.pw_uid, owner.pw_gid)
        os.symlink(elsewhere, self.link)
        print(f"postgres: the user postgres cannot reach {self.link}; its data are in {elsewhere}", flush=True)

    def _run(self, *command, typed=None):
        """Runs a program as the user who owns the data, in a folder that this user can enter."""
        as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        given = {"stdin": subprocess.DEVNULL} if typed is None else {"input": typed}
        # The server inherits what pg_ctl was given; with a pipe as its output this call would wait for the server's end.
        with tempfile.TemporaryFile("w+") as errors:
            done = subprocess.run(
                [*as_owner, *command], stdout=subprocess.DEVNULL, stderr=errors, text=True, cwd="/", **given,
            )
            errors.seek(0)
            done.stderr = errors.read()
        return done


def find_programs():
    """The folder of initdb and pg_ctl: the newest of Debian's, or the one of the PATH."""
    debian = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if debian:
        return os.path.dirname(max(debian, key=lambda path: int(re.search(r"postgresql/(\d+)", path).group(1))))
    found = shutil.which("initdb")
    if found is None:
        raise Failure("PostgreSQL's initdb is missing; run bin/setup")
    return os.path.dirname(found)
