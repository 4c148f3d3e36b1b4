"""Compiled filters, run by a small interpreter of classic BPF."""

import struct
from typing import Any

import pytest

from tiphys.runtime.oci.seccomp import (
    ACTIONS,
    ARCHITECTURES,
    ProfileError,
    compile_profile,
    syscall_numbers,
)
from tiphys.runtime.oci.seccomp_default import default_profile

ALLOW = ACTIONS["SCMP_ACT_ALLOW"]
EPERM = ACTIONS["SCMP_ACT_ERRNO"] | 1
ENOSYS = ACTIONS["SCMP_ACT_ERRNO"] | 38


def verdict(program: bytes, machine: str, number: int, *args: int) -> int:
    """What the kernel would answer. Source: networking/filter.rst."""
    six = [*args, *[0] * (6 - len(args))]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, ARCHITECTURES[machine], 0, *six)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = register = 0
    while True:
        op, jump_true, jump_false, k = code[at]
        at += 1
        if op == 0x20:
            (register,) = struct.unpack_from("=I", data, k)
        elif op == 0x54:
            register &= k
        elif op == 0x05:
            at += k
        elif op == 0x06:
            return int(k)
        else:
            hit = {0x15: register == k, 0x25: register > k, 0x35: register >= k}[op]
            at += jump_true if hit else jump_false


def asked(name: str, *args: int, machine: str = "x86_64", caps: tuple[str, ...] = ()) -> int:
    program = compile_profile(default_profile(caps), machine)
    return verdict(program, machine, syscall_numbers(machine)[name], *args)


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
@pytest.mark.parametrize(
    ("name", "args", "caps", "expected"),
    [
        pytest.param("read", (), (), ALLOW, id="read"),
        pytest.param("openat2", (), (), ALLOW, id="openat2"),
        pytest.param("mount", (), (), EPERM, id="mount"),
        pytest.param("mount", (), ("CAP_SYS_ADMIN",), ALLOW, id="mount-as-admin"),
        pytest.param("keyctl", (), ("CAP_SYS_ADMIN",), EPERM, id="keyctl-never"),
        pytest.param("io_uring_setup", (), (), EPERM, id="io-uring"),
        pytest.param("clone", (0x11,), (), ALLOW, id="fork"),
        pytest.param("clone", (0x10000011,), (), EPERM, id="clone-new-user"),
        pytest.param("clone", (0x10000011,), ("CAP_SYS_ADMIN",), ALLOW, id="clone-as-admin"),
        pytest.param("clone3", (), (), ENOSYS, id="clone3"),
        pytest.param("socket", (2, 1, 0), (), ALLOW, id="inet"),
        pytest.param("socket", (40, 1, 0), (), EPERM, id="vsock"),
        pytest.param("socket", (40 | 1 << 32, 1, 0), (), ALLOW, id="high-half-differs"),
        pytest.param("personality", (0xFFFFFFFF,), (), ALLOW, id="personality-query"),
        pytest.param("personality", (0x400000,), (), EPERM, id="personality-other"),
        pytest.param("chroot", (), ("CAP_SYS_CHROOT",), ALLOW, id="chroot"),
    ],
)
def test_default_profile(
    machine: str, name: str, args: tuple[int, ...], caps: tuple[str, ...], expected: int
) -> None:
    assert asked(name, *args, machine=machine, caps=caps) == expected


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_every_number_gets_the_verdict_of_its_name(machine: str) -> None:
    profile = default_profile(())
    allowed = set(profile["syscalls"][0]["names"])
    special = {"clone", "clone3", "socket", "personality"}
    program = compile_profile(profile, machine)
    for name, number in syscall_numbers(machine).items():
        if name not in special:
            expected = ALLOW if name in allowed else EPERM
            assert verdict(program, machine, number) == expected, name


def test_unknown_numbers_are_not_implemented() -> None:
    program = compile_profile(default_profile(()), "x86_64")
    assert verdict(program, "x86_64", 5000) == ENOSYS
    assert verdict(program, "x86_64", 0x40000000) == ENOSYS  # The x32 way to call read.
    assert verdict(program, "x86_64", -1) == ENOSYS


def test_another_architecture_is_refused() -> None:
    program = compile_profile(default_profile(()), "x86_64")
    assert verdict(program, "aarch64", syscall_numbers("x86_64")["read"]) == ENOSYS


@pytest.mark.parametrize(
    ("op", "value", "yes", "no"),
    [
        pytest.param("SCMP_CMP_LT", 1 << 32, [0, (1 << 32) - 1], [1 << 32, 1 << 40], id="lt"),
        pytest.param("SCMP_CMP_LE", 5, [0, 5], [6, 1 << 32], id="le"),
        pytest.param("SCMP_CMP_EQ", 5 | 1 << 33, [5 | 1 << 33], [5, 4 | 1 << 33], id="eq"),
        pytest.param("SCMP_CMP_NE", 5, [4, 5 | 1 << 33], [5], id="ne"),
        pytest.param("SCMP_CMP_GE", 1 << 32, [1 << 32, 1 << 50], [0, (1 << 32) - 1], id="ge"),
        pytest.param("SCMP_CMP_GT", 5, [6, 1 << 32], [5, 0], id="gt"),
    ],
)
def test_comparisons_have_64_bits(op: str, value: int, yes: list[int], no: list[int]) -> None:
    rule = {"index": 1, "value": value, "op": op}
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [rule]}],
    }
    program = compile_profile(profile, "x86_64")
    assert {verdict(program, "x86_64", 0, 9, n) for n in yes} == {ACTIONS["SCMP_ACT_LOG"]}
    assert {verdict(program, "x86_64", 0, 9, n) for n in no} == {EPERM}


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param({"defaultAction": "SCMP_ACT_NOTIFY"}, id="action"),
        pytest.param(
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_KILL",
                        "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_WHAT"}],
                    }
                ],
            },
            id="comparison",
        ),
    ],
)
def test_what_is_unknown_is_refused(profile: dict[str, Any]) -> None:
    with pytest.raises(ProfileError, match="unknown seccomp"):
        compile_profile(profile, "x86_64")
