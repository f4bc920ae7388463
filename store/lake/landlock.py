"""Linux's Landlock: the calling thread, and every thread that it starts, gives up files and network for good.

No privileges are needed, other threads of the process keep theirs, and nothing that runs later in the thread can take
it back. Not here: what a reader of the store needs (`store.lake.confined`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION = 1  # flag: return the version of the interface
_PATH_BENEATH, _NET_PORT = 1, 2
_NO_NEW_PRIVILEGES = 38  # prctl; Landlock demands it

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGE_FOLDER = sum(1 << bit for bit in range(4, 13))  # make or remove files, folders, links, sockets, devices
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_CONNECT = 0b11  # bind and connect, TCP

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE  # what a rule for a single file may hold
_SINCE = ((2, _REFER), (3, _TRUNCATE))  # version of the interface that brought it
_NETWORK_SINCE = 4


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """The version of the kernel's interface; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _system_call(_CREATE_RULESET, None, 0, _VERSION))


def confine(*, readable: Collection[Path] | None, writable: Collection[Path], ports: Collection[int]) -> bool:
    """Give up, in this thread, all files but these, and all TCP connections but those to these ports.

    Args:
        readable: files and folders that can still be read; None for all.
        writable: folders in which files can still be made, written and deleted.
        ports: TCP ports to which connections can still be made.

    Returns:
        Whether the kernel enforces it; without Landlock, nothing changes.
    """
    level = version()
    if level == 0:
        return False
    writing = _WRITE_FILE | _CHANGE_FOLDER | sum(bit for since, bit in _SINCE if level >= since)
    handled = writing | (_READ if readable is not None else 0)
    rules = _Ruleset(handled, _CONNECT if level >= _NETWORK_SINCE else 0)
    descriptor = _system_call(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules) if level >= 4 else 8, 0)
    if descriptor < 0:
        return False
    try:
        for path in readable or ():
            _allow(descriptor, path, _READ & handled)
        for path in writable:
            _allow(descriptor, path, handled)
        for port in ports if rules.network else ():
            rule = _Port(_CONNECT, port)
            _system_call(_ADD_RULE, descriptor, _NET_PORT, ctypes.byref(rule), 0)
        _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return _system_call(_RESTRICT_SELF, descriptor, 0) == 0
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: Path, access: int) -> None:
    with suppress(FileNotFoundError):
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _Beneath(access if path.is_dir() else access & _OF_FILES, parent)
            _system_call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(parent)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _system_call(number: int, *arguments: object) -> int:
    return int(_libc().syscall(number, *arguments))
