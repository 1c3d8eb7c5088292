"""Apache Kafka, one KRaft node: jars by Maven, data and log in the services' folder."""

import base64
import glob
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import uuid

from . import process
from .place import ROOT, Failure

VERSION = "4.1.1"
SUPPORT = os.path.join(ROOT, "bin", "support", "kafka")
with open(f"{SUPPORT}/pom.xml", "rb") as pom:
    # Another list of jars is another folder: a folder that exists is complete and current.
    LIBRARY = os.path.join(ROOT, "tmp", f"kafka-{VERSION}-{hashlib.sha256(pom.read()).hexdigest()[:8]}")
# On a machine that others load a broker may take minutes.
START_SECONDS = 300
STOP_SECONDS = 20

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},DETOUR://127.0.0.1:{detour},CONTROLLER://127.0.0.1:{controller}
# Whoever comes by the detour is told that the broker lives where a test's proxy listens, and goes on through the proxy.
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},DETOUR://127.0.0.1:{proxy}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}

# One node holds the only copy of everything.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A topic exists because somebody made it: a misspelt name must be an error.
auto.create.topics.enable=false
# A topic may allow records larger than the default (max.message.bytes); a follower's fetch must not be the limit.
replica.fetch.max.bytes=16777216

# Tests wait for groups, not for timers: no pause before the first rebalance, few partitions to load.
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=4
# Every test has topics of its own: the heap is for them and not for compacting two small ones (128 MB by default).
log.cleaner.dedupe.buffer.size=8388608
"""


class Kafka:
    """The broker of one services' folder."""

    name = "kafka"

    def __init__(self, place):
        self.place = place
        self.properties = place.path("kafka", "server.properties")
        self.data = place.path("kafka", "data")
        self.log = place.path("kafka", "server.log")
        self.pid_file = place.path("kafka", "pid")

    def pid(self):
        return process.living_pid(self.pid_file, self.properties)

    def address(self):
        port = self.place.port("kafka")
        return port and f"127.0.0.1:{port}"

    def status(self):
        pid = self.pid()
        detour = {"listens": self.place.port("kafka_detour"), "names": self.place.port("kafka_proxy")}
        return {"brokers": self.address(), "pid": pid, "running": pid is not None, "log": self.log, "detour": detour}

    def start(self):
        self._fetch()
        os.makedirs(self.place.path("kafka"), exist_ok=True)
        ports = {
            "broker": self.place.choose_port("kafka"),
            "controller": self.place.choose_port("kafka_controller"),
            "detour": self.place.choose_port("kafka_detour"),
            "proxy": self.place.choose_port("kafka_proxy"),
        }
        with open(self.properties, "w") as file:
            file.write(PROPERTIES.format(data=self.data, **ports))
        self._format()
        with open(self.log, "a") as log:
            broker = subprocess.Popen(
                # A broker out of memory would go on listening and answer nobody.
                java("kafka.Kafka", self.properties, options=[
                    "-Xmx768m", "-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={SUPPORT}/log4j2.xml",
                ]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.place.path("kafka"),
            )
        with open(self.pid_file, "w") as file:
            file.write(f"{broker.pid}\n")
        ready = process.wait_until(lambda: broker.poll() is not None or answers(ports["broker"]), START_SECONDS)
        if broker.poll() is not None or not ready:
            if broker.poll() is None:
                broker.kill()
            raise Failure(f"kafka did not start; the end of {self.log}:\n{process.tail(self.log)}")

    def stop(self):
        process.end(self.pid(), STOP_SECONDS)

    def _fetch(self):
        """Has Maven copy the broker's jars, once; a copy cut short is never taken for a whole one."""
        if os.path.isdir(LIBRARY):
            return
        for tool, package in (("mvn", "maven"), ("java", "a JDK of version 17 or later")):
            if shutil.which(tool) is None:
                raise Failure(f"{tool} is missing ({package}); run bin/setup")
        print(f"kafka: fetching Apache Kafka {VERSION} by Maven (43 MB)", flush=True)
        draft = f"{LIBRARY}.{os.getpid()}"
        fetch = subprocess.run(
            ["mvn", "-q", "-B", "-f", f"{SUPPORT}/pom.xml", "dependency:copy-dependencies",
             "-DincludeScope=runtime", f"-DoutputDirectory={draft}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if fetch.returncode != 0 or not glob.glob(f"{draft}/kafka_2.13-{VERSION}.jar"):
            shutil.rmtree(draft, ignore_errors=True)
            raise Failure(f"Maven could not fetch Kafka:\n{fetch.stdout}")
        if os.path.isdir(LIBRARY):  # the `up` of another services' folder was faster
            shutil.rmtree(draft)
        else:
            os.rename(draft, LIBRARY)

    def _format(self):
        """Gives a new data folder its cluster id; a folder that has one is left alone."""
        if os.path.exists(os.path.join(self.data, "meta.properties")):
            return
        # One that began with a dash would be taken for an option.
        cluster = "r" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        done = subprocess.run(
            java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.properties,
                 options=[f"-Dlog4j2.configurationFile={SUPPORT}/log4j2.xml"]),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        if done.returncode != 0:
            raise Failure(f"kafka's storage could not be formatted: {done.stdout}{done.stderr}")


def java(main_class, *arguments, options=()):
    quick_start = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *quick_start, *options, "-cp", f"{LIBRARY}/*", main_class, *arguments]


def answers(port):
    """True when the broker names itself in a Metadata answer, which it does once it takes topics and records.

    The request is Metadata version 1 for no topic: key 3, version 1, correlation id 1, client id "up", an empty list.
    """
    request = struct.pack(">hhih2si", 3, 1, 1, 2, b"up", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return False
    if len(answer) < 12:
        return False
    _length, _correlation, brokers = struct.unpack(">iii", answer)
    return brokers > 0
