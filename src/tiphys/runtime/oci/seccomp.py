"""Compiles a seccomp profile (the OCI spec's `linux.seccomp`) to a classic BPF program.

The program checks the architecture, then finds the system call's number in a balanced tree of
ranges, then compares arguments where a rule has some. Pure: bytes out, installed by syscalls.

    struct sock_filter { u16 code; u8 jump_true; u8 jump_false; u32 k; }
    struct seccomp_data { i32 nr; u32 arch; u64 instruction_pointer; u64 args[6]; }

Sources: man 2 seccomp; linux/filter.h, linux/seccomp.h, linux/audit.h; OCI runtime-spec
config-linux.md#seccomp.
"""

import functools
import struct
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
X32_BIT: Final = 0x40000000
ENOSYS: Final = 38
INSTRUCTIONS_MAX: Final = 4096  # BPF_MAXINSNS

LOAD, JUMP, JUMP_EQUAL, JUMP_ABOVE, JUMP_AT_LEAST, AND, RETURN = (
    0x20,  # BPF_LD | BPF_W | BPF_ABS
    0x05,  # BPF_JMP | BPF_JA
    0x15,  # BPF_JMP | BPF_JEQ | BPF_K
    0x25,  # BPF_JMP | BPF_JGT | BPF_K
    0x35,  # BPF_JMP | BPF_JGE | BPF_K
    0x54,  # BPF_ALU | BPF_AND | BPF_K
    0x06,  # BPF_RET | BPF_K
)
ACTIONS: Final = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_OFFSET_NR, _OFFSET_ARCH, _OFFSET_ARGS = 0, 4, 16


class ProfileError(ValueError):
    """A profile that cannot be compiled."""


class Op(NamedTuple):
    """One instruction; PASS and FAIL as jump targets mean "argument matched" and "next rule"."""

    code: int
    k: int
    jump_true: int = 0
    jump_false: int = 0


PASS: Final = -1
FAIL: Final = -2
Outcome = tuple[tuple[tuple[tuple[int, int, int, str], ...], int], ...]


@functools.cache
def syscall_numbers(machine: str) -> dict[str, int]:
    """Numbers by name for "x86_64" or "aarch64"."""
    if machine not in ARCHITECTURES:
        raise ProfileError(f"no system call table for {machine}")
    column = 1 if machine == "x86_64" else 2
    text = resources.files("tiphys.runtime.oci").joinpath("syscalls.txt").read_text()
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def compile_profile(profile: Mapping[str, Any], machine: str) -> bytes:
    """The packed program. Names that the machine does not have are ignored, as libseccomp does.

    Raises: ProfileError for an unknown action or comparison, or a program past the kernel's bound.
    """
    numbers = syscall_numbers(machine)
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    rules: dict[int, Outcome] = {}
    for rule in profile.get("syscalls") or ():
        action = _action(rule["action"], rule.get("errnoRet"))
        args = tuple(_argument(arg) for arg in rule.get("args") or ())
        for number in {numbers[name] for name in rule["names"] if name in numbers}:
            rules[number] = (*rules.get(number, ()), (args, action))
    last = max(numbers.values())
    outcomes = [_settled(rules.get(n, ()), default) for n in range(last + 1)]
    outcomes.append((((), _action("SCMP_ACT_ERRNO", ENOSYS)),))
    tree = _tree(_ranges(outcomes))
    head = [
        Op(LOAD, _OFFSET_ARCH),
        Op(JUMP_EQUAL, ARCHITECTURES[machine], 1, 0),
        Op(RETURN, _action("SCMP_ACT_ERRNO", ENOSYS)),
        Op(LOAD, _OFFSET_NR),
    ]
    program = head + tree
    if len(program) > INSTRUCTIONS_MAX:
        raise ProfileError(f"the profile needs {len(program)} instructions, the kernel takes 4096")
    return b"".join(
        struct.pack("=HBBI", op.code, op.jump_true, op.jump_false, op.k) for op in program
    )


def _action(name: str, errno_value: int | None) -> int:
    if name not in ACTIONS:
        raise ProfileError(f"unknown seccomp action {name}")
    value = ACTIONS[name]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value |= (1 if errno_value is None else errno_value) & 0xFFFF
    return value


def _argument(arg: Mapping[str, Any]) -> tuple[int, int, int, str]:
    return (arg["index"], arg["value"], arg.get("valueTwo", 0), arg["op"])


def _settled(rules: Outcome, default: int) -> Outcome:
    """Rules in order, cut after the first without conditions; the default closes the list."""
    kept: list[Any] = []
    for args, action in sorted(rules, key=lambda rule: not rule[0]):
        kept = [((), action)] if not args else [*kept, (args, action)]
        if not args:
            return tuple(kept)
    return (*kept, ((), default))


def _ranges(outcomes: Sequence[Outcome]) -> list[tuple[int, Outcome]]:
    """First number of each run of equal outcomes, with the outcome; the last run has no end."""
    runs: list[tuple[int, Outcome]] = []
    for number, outcome in enumerate(outcomes):
        if not runs or runs[-1][1] != outcome:
            runs.append((number, outcome))
    return runs


def _tree(runs: Sequence[tuple[int, Outcome]]) -> list[Op]:
    if len(runs) == 1:
        return _leaf(runs[0][1])
    middle = len(runs) // 2
    left, right = _tree(runs[:middle]), _tree(runs[middle:])
    bound = runs[middle][0]
    if len(left) <= 255:
        return [Op(JUMP_AT_LEAST, bound, len(left), 0), *left, *right]
    return [Op(JUMP_AT_LEAST, bound, 0, 1), Op(JUMP, len(left)), *left, *right]


def _leaf(outcome: Outcome) -> list[Op]:
    code: list[Op] = []
    for args, action in outcome:
        block = [op for arg in args for op in _resolved(_comparison(*arg), keep_fail=True)]
        block.append(Op(RETURN, action))
        code += _resolved(block, keep_fail=False)
    return code


def _resolved(block: list[Op], *, keep_fail: bool) -> list[Op]:
    """Turn PASS (or FAIL, when not kept) into the distance to the end of block."""
    label = PASS if keep_fail else FAIL
    result = []
    for at, op in enumerate(block):
        distance = len(block) - at - 1
        jumps = [distance if j == label else j for j in (op.jump_true, op.jump_false)]
        result.append(op._replace(jump_true=jumps[0], jump_false=jumps[1]))
    return result


def _comparison(index: int, value: int, value_two: int, op: str) -> list[Op]:
    """Compare a 64-bit argument in two halves of the little-endian seccomp_data."""
    low_at = _OFFSET_ARGS + 8 * index
    high, low = value >> 32 & 0xFFFFFFFF, value & 0xFFFFFFFF
    load_high, load_low = Op(LOAD, low_at + 4), Op(LOAD, low_at)
    if op == "SCMP_CMP_MASKED_EQ":
        high_two, low_two = value_two >> 32 & 0xFFFFFFFF, value_two & 0xFFFFFFFF
        return [
            load_high,
            Op(AND, high),
            Op(JUMP_EQUAL, high_two, 0, FAIL),
            load_low,
            Op(AND, low),
            Op(JUMP_EQUAL, low_two, 0, FAIL),
        ]
    if op == "SCMP_CMP_EQ":
        return [load_high, Op(JUMP_EQUAL, high, 0, FAIL), load_low, Op(JUMP_EQUAL, low, 0, FAIL)]
    if op == "SCMP_CMP_NE":
        return [load_high, Op(JUMP_EQUAL, high, 0, PASS), load_low, Op(JUMP_EQUAL, low, FAIL, 0)]
    bigger = {"SCMP_CMP_GT": PASS, "SCMP_CMP_GE": PASS, "SCMP_CMP_LT": FAIL, "SCMP_CMP_LE": FAIL}
    if op not in bigger:
        raise ProfileError(f"unknown seccomp comparison {op}")
    above = bigger[op]
    below = FAIL if above == PASS else PASS
    last = JUMP_ABOVE if op in ("SCMP_CMP_GT", "SCMP_CMP_LE") else JUMP_AT_LEAST
    hit, miss = (0, FAIL) if above == PASS else (FAIL, 0)
    return [
        load_high,
        Op(JUMP_ABOVE, high, above, 0),
        Op(JUMP_EQUAL, high, 0, below),
        load_low,
        Op(last, low, hit, miss),
    ]
