"""The public names are exactly the intended ones, and each says what it is."""

import inspect
import types

import glia.nn


def test_public_names_are_declared():
    items = vars(glia.nn).items()
    public = {name for name, value in items if not name.startswith("_") and not isinstance(value, types.ModuleType)}
    assert public == set(glia.nn.__all__)
    assert sorted(glia.nn.__all__) == glia.nn.__all__


def test_all_names_have_docstrings():
    for name in glia.nn.__all__:
        value = getattr(glia.nn, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_registries_describe_every_part():
    for name in ("activations", "initialisers", "norms", "dropouts", "numeric_embeddings", "networks"):
        assert all(getattr(glia.nn, name).describe().values())
