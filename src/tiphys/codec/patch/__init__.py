"""Patches: pure functions from a document and a patch to a new document."""


class PatchError(ValueError):
    """A patch that cannot be applied; `code` is the HTTP status that upstream answers."""

    def __init__(self, message: str, code: int = 422) -> None:
        super().__init__(message)
        self.code = code
