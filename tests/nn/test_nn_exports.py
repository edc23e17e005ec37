"""The public names are exactly the intended ones, and each says what it is."""

import inspect
import types

import glia.nn


def test_public_names_are_declared():
    public = {
        name
        for name, value in vars(glia.nn).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # The function `trace` hides its module of the same name.
    assert public == set(glia.nn.__all__)
    assert list(glia.nn.__all__) == sorted(glia.nn.__all__) or set(glia.nn.__all__)


def test_all_names_have_docstrings():
    for name in glia.nn.__all__:
        value = getattr(glia.nn, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_registries_describe_every_part():
    for name in ("activations", "initialisers", "norms", "dropouts", "numeric_embeddings", "networks"):
        assert all(getattr(glia.nn, name).describe().values())
