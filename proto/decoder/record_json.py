"""JSON, content hash and delivery id of a decoded record, as the published interface describes them."""

import base64
import datetime
import hashlib
import json
import math

INTEGERS = (-(2**63), 2**63 - 1)
EPOCH = datetime.date(1970, 1, 1)


def delivery_id(destination, record):
    place = "\n".join([destination, record.source, record.model, record.key])
    return f"dlv_{hashlib.sha256(place.encode('utf-8')).digest()[:16].hex()}_{record.version}"


def content_hash(record):
    kept = type(record)(fields=[field for field in record.fields if not field.volatile])
    # A message that has nothing but fields is those fields, each with tag and length.
    return hashlib.sha256(kept.SerializeToString(deterministic=True)).digest()[:16].hex()


def encode(id_, record):
    operation = type(record).DESCRIPTOR.fields_by_name["operation"].enum_type.values_by_number[record.operation].name
    members = [
        ("id", text(id_)),
        ("source", text(record.source)),
        ("model", text(record.model)),
        ("key", text(record.key)),
        ("operation", text(operation.removeprefix("OPERATION_").lower())),
        ("version", str(record.version)),
        ("committed_at", timestamp(record.committed_at)),
        ("attributes", attributes(record, operation)),
    ]
    return object_of(members)


def attributes(record, operation):
    if operation == "OPERATION_DELETE":
        return "null"
    names = [field.name.encode("utf-8") for field in record.fields]
    assert names == sorted(names), "fields are sorted by the bytes of their name"
    return object_of((field.name, value(field.value)) for field in record.fields)


def object_of(members):
    return "{" + ",".join(f"{text(name)}:{written}" for name, written in members) + "}"


def value(message):
    kind = message.WhichOneof("kind")
    return WRITERS[kind](getattr(message, kind))


def text(string):
    # Without ensure_ascii Python escapes what JSON asks for, in lower hex, and nothing else.
    return json.dumps(string, ensure_ascii=False)


def double(number):
    if math.isnan(number):
        return '"NaN"'
    if math.isinf(number):
        return '"Infinity"' if number > 0 else '"-Infinity"'
    sign = "-" if math.copysign(1, number) < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0.0"
    if 0 < point <= 16:
        return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"
    if -5 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e{point - 1}"


def fraction_of_second(nanoseconds):
    return f"{nanoseconds // 1000:06d}" if nanoseconds % 1000 == 0 else f"{nanoseconds:09d}"


def timestamp(moment):
    days, second = divmod(moment.seconds, 86_400)
    return f'"{day(days)}T{clock(second)}.{fraction_of_second(moment.nanos)}Z"'


def day(days):
    # Not strftime, which writes the year 1 with one digit.
    return datetime.date.fromordinal(EPOCH.toordinal() + days).isoformat()


def clock(second):
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def time_of_day(nanoseconds):
    second, fraction = divmod(nanoseconds, 1_000_000_000)
    return f'"{clock(second)}.{fraction_of_second(fraction)}"'


def integer(number):
    assert INTEGERS[0] <= number <= INTEGERS[1]
    return str(number)


WRITERS = {
    "null_value": lambda _: "null",
    "bool_value": lambda held: "true" if held else "false",
    "int64_value": integer,
    "string_value": text,
    "bytes_value": lambda held: text(base64.standard_b64encode(held).decode("ascii")),
    "decimal_value": text,
    "timestamp_value": timestamp,
    "date_value": lambda held: f'"{day(held)}"',
    "time_of_day_value": time_of_day,
    "double_value": double,
    "json_value": lambda held: held,
    "list_value": lambda held: "[" + ",".join(map(value, held.values)) + "]",
}
