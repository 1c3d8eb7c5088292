"""Processes that outlive the script: known by pid and command line, since a pid alone may have passed to a stranger."""

import os
import signal
import subprocess
import time

POLL_SECONDS = 0.05


def command_line(pid):
    """The command line of a living process, or an empty string."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        if os.path.isdir("/proc/self"):
            return ""
    return subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True).stdout


def living_pid(pid_file, mark):
    """The pid in the first line of `pid_file` when that process lives and has `mark` in its command line, else None."""
    try:
        with open(pid_file) as file:
            pid = int(file.readline())
    except (FileNotFoundError, ValueError):
        return None
    return pid if mark in command_line(pid) else None


def wait_until(condition, seconds):
    """Polls until `condition()` is true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def has_ended(pid):
    """True when a process is gone or a zombie: only then are its ports free. Its command line vanishes before that."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        if os.path.isdir("/proc/self"):
            return True
    try:
        os.kill(pid, 0)
        return False
    except ProcessLookupError:
        return True


def end(pid, seconds):
    """Asks a process to end and insists after `seconds`."""
    os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: has_ended(pid), seconds):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: has_ended(pid), seconds)


def tail(path, lines=20):
    """The last lines of a log file, for the message about a server that did not start."""
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except FileNotFoundError:
        return ""
