"""What the stories of the protocol run on: the real stages, and the hostile runtime as it is."""

import pytest

from tests.protocol.storms import Parts


@pytest.fixture
def parts() -> Parts:
    """The real parts; ``test_guards`` tells the same stories with one part broken."""
    return Parts()
