"""Warnings silenced on several threads at once."""

import threading
import warnings

import pytest

from glia.core.quiet import quietly


def test_the_one_that_leaves_first_does_not_wake_the_others_warnings():
    before = list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def other():
        with quietly(UserWarning):
            entered.set()
            assert left.wait(10)
            warnings.warn("still quiet", UserWarning, stacklevel=1)  # an error under pytest, were it not silenced

    failed = []
    threading.excepthook, hook = failed.append, threading.excepthook
    try:
        with quietly(UserWarning):
            thread = threading.Thread(target=other)
            thread.start()
            assert entered.wait(10)
        left.set()
        thread.join(10)
    finally:
        threading.excepthook = hook
    assert not failed
    assert warnings.filters == before
    with pytest.raises(UserWarning):
        warnings.warn("as before", UserWarning, stacklevel=1)


def test_others_are_heard_and_errors_leave_nothing_behind():
    before = list(warnings.filters)
    with pytest.raises(DeprecationWarning), quietly(UserWarning):
        warnings.warn("hidden", UserWarning, stacklevel=1)
        warnings.warn("heard", DeprecationWarning, stacklevel=1)
    assert warnings.filters == before


def test_all_warnings_of_a_module():
    with quietly(module=r".*test_core_quiet"):
        warnings.warn("hidden", DeprecationWarning, stacklevel=1)
