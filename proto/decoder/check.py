#!/usr/bin/env python3
"""Decodes every golden record with protobuf's own Python runtime and compares it with what proto/fixtures expects.

    python3 proto/decoder/check.py

Neither the gem's encoder nor the relay's decoder is used here: what the three agree on is what the schema says.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.dirname(HERE)
FIXTURES = os.path.join(PROTO, "fixtures")
# Where Debian's python3-protobuf is, should another Python come first in the PATH.
DEBIAN_PYTHON = "/usr/bin/python3"


def ensure_runtime():
    """Goes on in a Python that has protobuf's runtime, or ends saying how to get it."""
    try:
        import google.protobuf  # noqa: F401  (only asks whether it is there)
    except ImportError:
        if os.path.exists(DEBIAN_PYTHON) and not os.environ.get("REPLICATES_TO_PYTHON_TRIED"):
            os.environ["REPLICATES_TO_PYTHON_TRIED"] = "1"
            os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, os.path.abspath(__file__), *sys.argv[1:]])
        sys.exit("check.py: protobuf's Python runtime is missing: apt-get install python3-protobuf, or pip install protobuf")


def generated_record(folder):
    """The Record class that protoc makes of the schema."""
    schema = "replicates_to/v1/record.proto"
    subprocess.run(["protoc", "--proto_path", PROTO, "--python_out", folder, schema], check=True)
    sys.path.insert(0, folder)
    from replicates_to.v1.record_pb2 import Record

    return Record


def problems(record_class, entry):
    """What is wrong with one fixture; nothing, if all is well."""
    import record_json

    with open(os.path.join(FIXTURES, entry["bin"]), "rb") as file:
        raw = file.read()
    with open(os.path.join(FIXTURES, entry["json"]), "rb") as file:
        expected = file.read()
    record = record_class.FromString(raw)
    delivery_id = record_json.delivery_id(entry["destination"], record)
    answers = [
        ("delivery_id", entry["delivery_id"], delivery_id),
        ("content_hash", entry["content_hash"], record_json.content_hash(record)),
        ("json", expected, record_json.encode(delivery_id, record).encode("utf-8")),
        ("bytes", raw, record.SerializeToString(deterministic=True)),
    ]
    return [f"{what}: expected {shown(wanted)}, decoded {shown(got)}" for what, wanted, got in answers if wanted != got]


def shown(value):
    text = repr(value)
    return text if len(text) <= 2000 else f"{text[:2000]}… ({len(value)} long)"


def main():
    ensure_runtime()
    sys.path.insert(0, HERE)
    with open(os.path.join(FIXTURES, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        record_class = generated_record(folder)
        for entry in index:
            found = problems(record_class, entry)
            failed += bool(found)
            for problem in found:
                print(f"FAIL {entry['name']}: {problem}")
    print(f"{len(index) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not index else 0)


if __name__ == "__main__":
    main()
