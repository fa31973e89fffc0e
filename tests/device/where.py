"""On which devices a test of the real device runs."""

import pytest

WHERE = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
