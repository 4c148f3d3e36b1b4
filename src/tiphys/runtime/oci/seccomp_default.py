"""The default seccomp profile: which system calls a container may make.

An allow list like Docker's: everything an ordinary program needs, without what opens the kernel
(mount, bpf, keyctl, io_uring, new namespaces ...); capabilities open their own calls. What is not
listed fails with EPERM, what the table of numbers does not know with ENOSYS, so that a libc falls
back. Facts from: moby profiles/seccomp/default.json; io_uring left out as containerd 2.0 does.
"""

from collections.abc import Collection
from typing import Any, Final

EPERM: Final = 1
ENOSYS: Final = 38
AF_VSOCK: Final = 40
# CLONE_NEW* without NEWTIME: a plain clone may not make namespaces.
NAMESPACE_FLAGS: Final = 0x7E020000
# PER_LINUX, UNAME26, ADDR_NO_RANDOMIZE and both, and the query.
PERSONALITIES: Final = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

ALLOWED: Final = """
    accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir chmod
    chown clock_adjtime clock_getres clock_gettime clock_nanosleep close close_range connect
    copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat
    fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv
    futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64
    getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid
    getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt
    gettid gettimeofday getuid getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl
    ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
    lchown lgetxattr link linkat listen listxattr listxattrat llistxattr lremovexattr lseek
    lsetxattr lstat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir
    mkdirat mknod mknodat mlock mlock2 mlockall mmap modify_ldt mprotect mq_getsetattr mq_notify
    mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd
    msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2
    pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll
    prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev
    pselect6 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom
    recvmmsg recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2
    restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer
    setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
    socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo
    tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
    timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink
    unlinkat utime utimensat utimes vfork vmsplice wait4 waitid write writev
"""

BY_CAPABILITY: Final = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount "
    "lookup_dcookie mount mount_setattr move_mount open_tree open_tree_attr perf_event_open "
    "quotactl quotactl_fd setdomainname sethostname setns statmount syslog umount2 unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday clock_settime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}


def default_profile(capabilities: Collection[str]) -> dict[str, Any]:
    """The profile for a process with these capabilities, in the OCI spec's `linux.seccomp` form."""
    names = set(ALLOWED.split())
    for capability in capabilities:
        names |= set(BY_CAPABILITY.get(capability, "").split())
    rules: list[dict[str, Any]] = [
        {"names": sorted(names), "action": "SCMP_ACT_ALLOW"},
        _rule("socket", 0, AF_VSOCK, "SCMP_CMP_NE"),
        *[_rule("personality", 0, value, "SCMP_CMP_EQ") for value in PERSONALITIES],
    ]
    if "CAP_SYS_ADMIN" not in capabilities:
        clone = _rule("clone", 0, NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ")
        # The flags of clone3 are behind a pointer: libcs fall back to clone on ENOSYS.
        clone3 = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}
        rules += [clone, clone3]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": EPERM, "syscalls": rules}


def _rule(name: str, index: int, value: int, op: str) -> dict[str, Any]:
    """Allow name when its argument at index compares so (MASKED_EQ: masked bits are all 0)."""
    args = [{"index": index, "value": value, "valueTwo": 0, "op": op}]
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": args}
