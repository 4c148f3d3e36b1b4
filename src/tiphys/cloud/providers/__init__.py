"""One provider per file or folder, by the names under which users choose them."""

from typing import Final

LOCAL: Final = "local"
LIBCLOUD: Final = "libcloud"
PROVIDERS: Final = (LOCAL, LIBCLOUD)
