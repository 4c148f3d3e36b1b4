"""What a test needs and the machine does not have: a skip for people, a failure where CI counts."""

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip, saying why; fail with CI=true, where nobody reads what was skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"skipped in CI, which hides a gap: {reason}")
    pytest.skip(reason)
