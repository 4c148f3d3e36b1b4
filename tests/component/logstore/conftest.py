"""Stories with a real API server and clients of it."""

from pathlib import Path

import pytest
import uvloop

from support.client_rig import Story, Tell, rig


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    def run(story: Story) -> None:
        async def whole() -> None:
            async with rig(tmp_path) as made:
                await story(made)

        uvloop.run(whole())

    return run
