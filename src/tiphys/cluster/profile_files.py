"""Files without which a stopped profile cannot start, looked at before anything is started.

What can be made anew is made anew (pki.py, access.py). The store cannot: a new one would be an
empty cluster under an old name.
"""

from typing import Final

from tiphys.cluster.profile import Profile, damaged

_SQLITE: Final = b"SQLite format 3\0"  # sqlite.org/fileformat.html


def check(profile: Profile) -> None:
    """Raises ProfileError naming the file."""
    store = profile.directory / "store" / "state.db"
    if not store.exists():
        # An API server has had a store open here, for it has locked it.
        if store.with_name("state.db.lock").exists():
            raise damaged(profile.name, store, "the store is gone, with every object")
        return
    try:
        with store.open("rb") as file:
            head = file.read(len(_SQLITE))
    except OSError as exc:
        raise damaged(profile.name, store, exc) from exc
    if head and head != _SQLITE:
        raise damaged(profile.name, store, "the store is not a database")
