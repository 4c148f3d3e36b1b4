"""Who a process in a container is: user and group names from the image's own files.

Pure; the text of /etc/passwd and /etc/group is read by the process inside the container, so no
path of an image is ever followed on the host. Source: OCI image-spec config.md (User),
Upstream: KEP-3619 (supplementalGroupsPolicy).
"""

from typing import Final, NamedTuple

ID_MAX: Final = (1 << 31) - 1


class Identity(NamedTuple):
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve(
    user: str, group: str, supplemental: list[int], *, strict: bool, passwd: str, group_file: str
) -> Identity:
    """The identity for user (name, number or "") and group (name, number or "").

    Groups that /etc/group gives the user are merged in unless strict.
    Raises: ValueError for a name that the image does not know or a number out of range.
    """
    name, uid, gid, home = _user(user, passwd)
    if group:
        gid = _group(group, group_file)
    groups = list(supplemental)
    if not strict and name:
        rows = (line.split(":") for line in group_file.splitlines())
        groups += [int(r[2]) for r in rows if len(r) > 3 and name in r[3].split(",") and _id(r[2])]
    if gid not in groups:
        groups.insert(0, gid)
    return Identity(uid, gid, tuple(dict.fromkeys(groups)), home)


def _user(user: str, passwd: str) -> tuple[str, int, int, str]:
    wanted = user or "0"
    for line in passwd.splitlines():
        row = line.split(":")
        if len(row) >= 6 and wanted in (row[0], row[2]) and _id(row[2]) and _id(row[3]):
            return row[0], int(row[2]), int(row[3]), row[5] or "/"
    if not wanted.isdigit():
        raise ValueError(f"unable to find user {wanted}: no matching entries in passwd file")
    return "", _number(wanted), 0, "/root" if wanted == "0" else "/"


def _group(group: str, group_file: str) -> int:
    if group.isdigit():
        return _number(group)
    for line in group_file.splitlines():
        row = line.split(":")
        if len(row) >= 3 and row[0] == group and _id(row[2]):
            return int(row[2])
    raise ValueError(f"unable to find group {group}: no matching entries in group file")


def _id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= ID_MAX


def _number(text: str) -> int:
    if not _id(text):
        raise ValueError(f"uids and gids must be in range 0-{ID_MAX}")
    return int(text)
