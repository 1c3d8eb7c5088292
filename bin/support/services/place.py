"""Where the services live: their folder, the ports they were given once, and the lock of who starts or stops them."""

import contextlib
import fcntl
import json
import os
import random
import socket

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# Below the range that the kernel hands to outgoing connections (32768 and up), so that a port is still free when
# its service comes back from an outage.
PORTS = range(20000, 30000)


class Failure(Exception):
    """Something a person must read; the message says it all."""


class Place:
    """One folder of services. Two folders never share a port, a process or data."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    @contextlib.contextmanager
    def locked(self):
        """Holds the folder, so that two callers of `up` start one server and not two."""
        os.makedirs(self.folder, exist_ok=True)
        with open(self.path("lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def port(self, name):
        """The port chosen for `name`, or None before the first `up`."""
        return self._state().get(name)

    def choose_port(self, name):
        """The port of `name`: the one chosen before, unless another program holds it meanwhile."""
        state = self._state()
        before = state.get(name)
        if before is not None and is_free(before):
            return before
        taken = set(state.values())
        candidates = [port for port in random.sample(PORTS, 200) if port not in taken]
        chosen = next((port for port in candidates if is_free(port)), None)
        if chosen is None:
            raise Failure(f"no free loopback port between {PORTS.start} and {PORTS.stop - 1}")
        if before is not None:
            print(f"{name}: port {before} is held by another program; {chosen} instead", flush=True)
        state[name] = chosen
        self._write(state)
        return chosen

    def _state(self):
        try:
            with open(self.path("state")) as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def _write(self, state):
        draft = self.path("state.draft")
        with open(draft, "w") as file:
            json.dump(state, file, indent=2)
            file.write("\n")
        os.replace(draft, self.path("state"))


def is_free(port):
    """True when a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
