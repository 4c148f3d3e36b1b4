"""Stories with a real API server in memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.api_server import Story, run_story


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    return partial(run_story, tmp_path)
