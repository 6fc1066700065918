import pytest

from attngan.runtime.machine import make_fabric
from datasets.errors import InputError


def test_an_unknown_precision_is_refused():
    assert make_fabric("32-true").device.type in ("cpu", "cuda")
    with pytest.raises(InputError, match="precision"):
        make_fabric("16-true")
