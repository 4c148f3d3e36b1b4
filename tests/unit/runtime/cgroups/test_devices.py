"""Device rules: lines for v1, and the v2 program run by a small interpreter of eBPF."""

import struct

import pytest

from tiphys.runtime.cgroups.devices import ALL_RULES, DEFAULT_RULES, Rule, v1_lines, v2_program

BLOCK, CHAR = 1, 2
MKNOD, READ, WRITE = 1, 2, 4


def allowed(rules: tuple[Rule, ...], kind: int, major: int, minor: int, access: int) -> bool:
    program = v2_program(rules)
    context = struct.pack("=III", access << 16 | kind, major, minor)
    registers = [0] * 11
    at = 0
    while True:
        code, both, offset, imm = struct.unpack_from("=BBhi", program, at * 8)
        target, source = both & 15, both >> 4
        at += 1
        if code == 0x61:
            (registers[target],) = struct.unpack_from("=I", context, offset)
        elif code == 0xB7:
            registers[target] = imm
        elif code == 0xBF:
            registers[target] = registers[source]
        elif code == 0x57:
            registers[target] &= imm
        elif code == 0x77:
            registers[target] >>= imm
        elif code == 0x55:
            at += offset if registers[target] != imm else 0
        elif code == 0x95:
            return bool(registers[0])
        else:
            raise AssertionError(f"instruction {code:#x}")


EXTRA: tuple[Rule, ...] = (
    *DEFAULT_RULES,
    {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"},
)


@pytest.mark.parametrize(
    ("rules", "device", "access", "expected"),
    [
        pytest.param(DEFAULT_RULES, (CHAR, 1, 3), READ | WRITE, True, id="null"),
        pytest.param(DEFAULT_RULES, (CHAR, 1, 1), READ, False, id="mem"),
        pytest.param(DEFAULT_RULES, (BLOCK, 254, 0), READ, False, id="disk"),
        pytest.param(DEFAULT_RULES, (BLOCK, 254, 0), MKNOD, True, id="node-of-disk"),
        pytest.param(DEFAULT_RULES, (BLOCK, 254, 0), MKNOD | READ, False, id="node-and-read"),
        pytest.param(DEFAULT_RULES, (CHAR, 136, 77), READ | WRITE, True, id="pts"),
        pytest.param(DEFAULT_RULES, (BLOCK, 1, 3), READ, False, id="number-of-null-as-block"),
        pytest.param(EXTRA, (BLOCK, 8, 0), READ, True, id="given-read"),
        pytest.param(EXTRA, (BLOCK, 8, 0), READ | WRITE, False, id="given-read-not-write"),
        pytest.param(ALL_RULES, (BLOCK, 8, 0), READ | WRITE | MKNOD, True, id="privileged"),
        pytest.param((), (CHAR, 1, 3), READ, False, id="no-rules"),
    ],
)
def test_program(
    rules: tuple[Rule, ...], device: tuple[int, int, int], access: int, expected: bool
) -> None:
    assert allowed(rules, *device, access) is expected


def test_lines_deny_first() -> None:
    lines = v1_lines(DEFAULT_RULES)
    assert lines[:3] == [("a", False), ("c *:* m", True), ("b *:* m", True)]
    assert lines[-1] == ("c 136:* rwm", True)
