"""What an ONNX graph refers to outside of itself, found without running or importing ONNX.

An ONNX file is a protocol buffer (onnx.proto). A tensor whose ``data_location`` is EXTERNAL keeps
its values in another file, which a runtime would look for in the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64

# The messages that can hold a tensor: field number -> message of that field.
_MODEL = {7: "graph", 20: "training", 25: "function"}
_FIELDS: dict[str, dict[int, str]] = {
    "model": _MODEL,
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
}  # fmt: skip
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def external_files(data: bytes) -> list[str]:
    """Return the names of the files in which tensors of an ONNX model keep their values.

    Raises ValueError where ``data`` is not a protocol buffer with a graph.
    """
    view = memoryview(data)
    names = list(_external(view, "model", 0))
    if not any(number == 7 for number, _, _ in _fields(view)):
        raise ValueError("it holds no graph")
    return sorted(set(names))


def _external(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    """Yield the files that the tensors inside a message refer to."""
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if kind == "tensor":
        yield from _of_tensor(message)
        return
    children = _FIELDS[kind]
    for number, wire_type, value in _fields(message):
        if number in children and wire_type == _LENGTH:
            assert isinstance(value, memoryview)
            yield from _external(value, children[number], depth + 1)


def _of_tensor(message: memoryview) -> Iterator[str]:
    named = False
    external = False
    for number, wire_type, value in _fields(message):
        if number == _DATA_LOCATION and wire_type == _VARINT:
            external = value == 1
        if number == _EXTERNAL_DATA and isinstance(value, memoryview):
            entry = {n: bytes(v) for n, w, v in _fields(value) if isinstance(v, memoryview)}
            if entry.get(1) == b"location":
                named = True
                yield entry.get(2, b"").decode("utf-8", "replace")
    if external and not named:
        yield "(no name)"


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield number, wire type and value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, at = _varint(message, at)
            yield number, wire_type, value
            continue
        if wire_type == _LENGTH:
            length, at = _varint(message, at)
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"byte {at}: wire type {wire_type} is unknown")
        if at + length > len(message):
            raise ValueError("it ends too early")
        yield number, wire_type, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("it ends too early")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
