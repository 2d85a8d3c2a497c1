"""Each tutorial as it is stored."""

import pages
import pytest


@pytest.fixture(params=pages.notebooks(), ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return pages.read(path)
