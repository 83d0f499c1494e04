"""No garbage is collected while a program loads, and later collections exclude what it loaded."""

from __future__ import annotations

import gc

import pytest

from cli.loading import loading


@pytest.mark.parametrize("fault", [None, RuntimeError("while it loads")])
def test_the_collector_rests_while_the_body_loads_and_works_again_however_it_ends(fault: Exception | None) -> None:
    frozen = gc.get_freeze_count()
    try:
        with loading():
            assert not gc.isenabled()
            loaded = [[number] for number in range(1_000)]
            if fault:
                raise fault
    except RuntimeError:
        assert fault is not None
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(loaded)
    gc.unfreeze()
