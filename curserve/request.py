"""A client's request, taken apart: argv, cwd, environment and what its descriptors are.

In: the payload of a REQUEST frame as the kernel checked it (shims/wire.h). Out: a frozen Request; bytes stay bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from curserve.kernel_door import ffi

_HEAD_BYTES = ffi.sizeof("struct cs_wire_request")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """kind: CS_FD_* of wire.h. dev, ino: identity of a regular file, else 0."""

    kind: int
    dev: int
    ino: int


@dataclass(frozen=True, slots=True)
class Request:
    """argv is without argv[0]; env holds only the variables that clients send."""

    argv: tuple[bytes, ...]
    cwd: bytes
    env: dict[bytes, bytes]
    fds: tuple[Descriptor, Descriptor, Descriptor]


def parse(payload: bytes) -> Request:
    """The request of a payload that the kernel found sound."""
    head = ffi.from_buffer("struct cs_wire_request *", payload)
    strings = payload[_HEAD_BYTES:-1].split(b"\0")
    argc = head.argc
    env = dict(entry.partition(b"=")[::2] for entry in strings[1 + argc :])
    first, second, third = (Descriptor(fd.kind, fd.dev, fd.ino) for fd in head.fd)
    return Request(tuple(strings[1 : 1 + argc]), strings[0], env, (first, second, third))


def plan_key(payload: bytes) -> bytes:
    """What a plan depends on: the strings, which of them are arguments, and the kinds of descriptors; not which files
    they are or where we stand."""
    head = ffi.from_buffer("struct cs_wire_request *", payload)
    fds = head.fd
    kinds, argc = bytes((fds[0].kind, fds[1].kind, fds[2].kind)), int(head.argc)
    return kinds + argc.to_bytes(4, "little") + payload[_HEAD_BYTES:]
