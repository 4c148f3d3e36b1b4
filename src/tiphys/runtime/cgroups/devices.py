"""Which devices a container may open: rule lines for v1, an eBPF program for v2.

Without this the default CAP_MKNOD would let a container make a node of the host's disk. A rule is
the OCI spec's: {"allow", "type" ("a", "b", "c"), "major", "minor" (absent: any), "access"}.

    struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }  access << 16 | type

Sources: OCI config-linux.md#allowed-device-list; linux/bpf.h; kernel cgroup-v1/devices.rst.
"""

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tiphys.runtime import syscalls

Rule = dict[str, Any]
# What every container may use: null, zero, full, random, urandom, tty, ptmx and pseudo terminals;
# making a node is allowed for all, opening it is not.  Source: runc libcontainer/specconv.
DEFAULT_RULES: Final[tuple[Rule, ...]] = (
    {"allow": False, "type": "a", "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    *[
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2))
    ],
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
)
ALL_RULES: Final[tuple[Rule, ...]] = ({"allow": True, "type": "a", "access": "rwm"},)

_PROG_LOAD, _PROG_ATTACH = 5, 8  # enum bpf_cmd
_TYPE_CGROUP_DEVICE, _ATTACH_DEVICE, _ALLOW_MULTI = 15, 6, 2
_ACCESS: Final = {"m": 1, "r": 2, "w": 4}
_TYPES: Final = {"b": 1, "c": 2}
# eBPF instruction codes (linux/bpf.h, linux/bpf_common.h).
_LOAD_WORD, _MOVE, _MOVE_REG, _AND, _SHIFT_RIGHT, _JUMP_NOT_EQUAL, _EXIT = (
    0x61,
    0xB7,
    0xBF,
    0x57,
    0x77,
    0x55,
    0x95,
)


def v1_lines(rules: Iterable[Rule] | None) -> list[tuple[str, bool]]:
    """Lines for devices.allow (True) and devices.deny (False), in order."""
    lines = []
    for rule in rules or ():
        major, minor = rule.get("major", "*"), rule.get("minor", "*")
        one = f"{rule['type']} {major}:{minor} {rule['access']}"
        line = "a" if rule["type"] == "a" else one
        lines.append((line, bool(rule["allow"])))
    return lines


def v2_program(rules: Sequence[Rule]) -> bytes:
    """An eBPF program that applies the rules as v1 does: the last one that matches wins.

    A rule must cover every asked access; with rules that deny all and then allow, as here, that
    is v1's meaning.
    """
    code = [
        _op(_LOAD_WORD, 2, 1, 0),
        _op(_MOVE_REG, 3, 2),
        _op(_AND, 2, imm=0xFFFF),  # r2: type
        _op(_SHIFT_RIGHT, 3, imm=16),  # r3: access
        _op(_LOAD_WORD, 4, 1, 4),  # r4: major
        _op(_LOAD_WORD, 5, 1, 8),  # r5: minor
    ]
    verdict = 0
    for rule in reversed(rules):
        tests = _tests(rule)
        if not tests:
            verdict = int(rule["allow"])
            break
        tail = [_op(_MOVE, 0, imm=int(rule["allow"])), _op(_EXIT)]
        length = len(tests) + len(tail)
        for at, (opcode, register, value, jumps) in enumerate(tests):
            code.append(_op(opcode, register, offset=length - at - 1 if jumps else 0, imm=value))
        code += tail
    return b"".join([*code, _op(_MOVE, 0, imm=verdict), _op(_EXIT)])


def _tests(rule: Rule) -> list[tuple[int, int, int, bool]]:
    if rule["type"] == "a":
        return []
    tests = [(_JUMP_NOT_EQUAL, 2, _TYPES[rule["type"]], True)]
    others = 7 & ~sum(_ACCESS[letter] for letter in rule["access"])
    if others:  # r1 = access & what the rule does not give; must be 0.
        tests += [(_MOVE_REG, 1, 3, False), (_AND, 1, others, False), (_JUMP_NOT_EQUAL, 1, 0, True)]
    for register, key in ((4, "major"), (5, "minor")):
        if rule.get(key) is not None:
            tests.append((_JUMP_NOT_EQUAL, register, rule[key], True))
    return tests


def _op(code: int, target: int = 0, source: int = 0, offset: int = 0, imm: int = 0) -> bytes:
    if code == _MOVE_REG and not source:
        source, imm = imm, 0
    return struct.pack("=BBhi", code, target | source << 4, offset, imm)


def attach_program(directory: str, program: bytes) -> None:
    """Load program and attach it to the group at directory; it stays as long as the group."""
    code = ctypes.create_string_buffer(program, len(program))
    text = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = struct.pack(
        "=IIQQIIQII",
        _TYPE_CGROUP_DEVICE,
        len(program) // 8,
        ctypes.addressof(code),
        ctypes.addressof(text),
        0,
        0,
        0,
        0,
        0,
    )
    program_fd = syscalls.bpf(_PROG_LOAD, attributes)
    group_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syscalls.bpf(
            _PROG_ATTACH, struct.pack("=IIII", group_fd, program_fd, _ATTACH_DEVICE, _ALLOW_MULTI)
        )
    finally:
        os.close(group_fd)
        os.close(program_fd)
