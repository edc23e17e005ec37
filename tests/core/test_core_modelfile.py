"""The model file gives back what was put in, byte for byte the same each time, and takes one copy of memory to read."""

import hashlib
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors import numpy as safetensors

from glia.core.errors import InputError
from glia.core.modelfile import Archive, read_archive, write_archive
from glia.core.modeltensors import dump, load

dtypes = st.sampled_from(["?", "u1", "i1", "<u2", "<i2", "<f2", "<u4", "<i4", "<f4", "<u8", "<i8", "<f8", ">f4", ">i8"])
arrays = dtypes.flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
names = st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable() and name != "__metadata__")
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
json_data = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner), max_leaves=8),
    max_size=4,
)


def same(left, right):
    return (
        left.shape == right.shape and left.dtype == right.dtype.newbyteorder("<") and left.tobytes() == right.tobytes()
    )


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, arrays, max_size=4), json_data, json_data)
def test_what_is_written_is_read_again(tmp_path_factory, tensors, manifest, part):
    path = tmp_path_factory.mktemp("m") / "model.glia"
    write_archive(path, manifest, tensors, parts={"schema.json": part})
    found = read_archive(path)
    assert isinstance(found, Archive)
    assert set(found.tensors) == set(tensors)
    for name, array in tensors.items():
        assert same(found.tensors[name], array.astype(array.dtype.newbyteorder("<")))
        assert found.tensors[name].flags.writeable
    assert found.parts == {"schema.json": part}
    reserved = {"format", "format_version", "glia_version", "members"}
    assert {k: v for k, v in found.manifest.items() if k not in reserved} == {
        k: v for k, v in manifest.items() if k not in reserved
    }


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, arrays.filter(lambda a: a.dtype.byteorder != ">"), max_size=4))
def test_our_reading_of_safetensors_agrees_with_the_library(tensors):
    data = dump(tensors)
    theirs = safetensors.load(data)
    ours = load(np.frombuffer(data, np.uint8))
    assert set(ours) == set(theirs)
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_the_same_content_gives_the_same_bytes(tmp_path):
    tensors = {"w": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b": np.zeros(3)}
    for name in ("one.glia", "two.glia"):
        write_archive(
            tmp_path / name, {"task": "binary"}, dict(reversed(tensors.items())), parts={"schema.json": {"a": 1}}
        )
    one = (tmp_path / "one.glia").read_bytes()
    assert one == (tmp_path / "two.glia").read_bytes()
    write_archive(
        tmp_path / "two.glia", {"task": "binary"}, {**tensors, "b": np.ones(3)}, parts={"schema.json": {"a": 1}}
    )
    assert one != (tmp_path / "two.glia").read_bytes()


def test_any_zip_tool_and_safetensors_can_open_it(tmp_path):
    path = tmp_path / "model.glia"
    weights = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    write_archive(path, {"task": "binary"}, {"w": weights}, parts={"schema.json": {"columns": ["a"]}})
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "schema.json", "weights.safetensors"]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        manifest = json.loads(archive.read("manifest.json"))
        np.testing.assert_array_equal(safetensors.load(archive.read("weights.safetensors"))["w"], weights)
        for name, declared in manifest["members"].items():
            assert declared["sha256"] == hashlib.sha256(archive.read(name)).hexdigest()
            assert declared["size"] == archive.getinfo(name).file_size
    assert (manifest["format"], manifest["format_version"], manifest["task"]) == ("glia-model", 1, "binary")


def test_strides_and_scalars_survive(tmp_path):
    path = tmp_path / "model.glia"
    base = np.arange(12.0).reshape(3, 4)
    write_archive(path, {}, {"turned": base.T, "steps": base[:, ::2], "one": np.float64(3.5)})
    found = read_archive(path).tensors
    np.testing.assert_array_equal(found["turned"], base.T)
    np.testing.assert_array_equal(found["steps"], base[:, ::2])
    assert found["one"].shape == () and found["one"] == 3.5


@pytest.mark.parametrize(
    ("tensors", "got"),
    [
        ({"w": np.array(["a"], dtype=object)}, "'w' of type object with 1 dimensions"),
        ({"w": np.array(["a"])}, "'w' of type <U1 with 1 dimensions"),
        ({"w": np.array([1j])}, "'w' of type complex128 with 1 dimensions"),
        ({"__metadata__": np.zeros(2)}, "'__metadata__' of type float64 with 1 dimensions"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_left(tmp_path, tensors, got):
    with pytest.raises(InputError) as caught:
        write_archive(tmp_path / "model.glia", {}, tensors)
    assert str(caught.value) == (
        "the tensors of a model must hold booleans, integers or floats · got "
        + got
        + " · convert it, or keep it as a JSON part"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"a": float("nan")}, "Out of range float values are not JSON compliant: nan"),
        ({"a": {1, 2}}, "Object of type set is not JSON serializable"),
        ({"a": "\ud800"}, "'utf-8' codec can't encode character"),
        ({"a": 10**30}, "a number of more than 19 digits"),
    ],
)
def test_parts_that_json_cannot_hold_are_refused(tmp_path, part, reason):
    with pytest.raises(InputError, match=r"the part 'schema\.json' of a model must be plain JSON data") as caught:
        write_archive(tmp_path / "model.glia", {}, {}, parts={"schema.json": part})
    assert reason in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["manifest.json", "code.py", "../a.json", "A.json", "a/b.json"])
def test_parts_have_plain_names(tmp_path, name):
    with pytest.raises(ValueError, match="name must"):
        write_archive(tmp_path / "model.glia", {}, {}, parts={name: {}})


def test_a_failed_write_keeps_the_old_model(tmp_path):
    path = tmp_path / "model.glia"
    write_archive(path, {"v": 1}, {})
    with pytest.raises(InputError):
        write_archive(path, {"v": float("inf")}, {})
    assert read_archive(path).manifest["v"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["model.glia"]


def test_a_large_member_uses_the_64_bit_records(tmp_path, monkeypatch):
    # zipfile switches to them above this limit; lowering it exercises that form without writing 4 GB.
    path = tmp_path / "model.glia"
    weights = {"w": np.arange(5000, dtype=np.float32)}
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    write_archive(path, {}, weights)
    assert b"PK\x06\x06" in path.read_bytes()
    np.testing.assert_array_equal(read_archive(path).tensors["w"], weights["w"])


def test_reading_takes_one_copy_of_the_weights_and_no_torch(tmp_path):
    path = tmp_path / "model.glia"
    write_archive(path, {}, {"w": np.zeros(8_000_000, np.float32)})
    code = (
        "import sys, tracemalloc; from glia.core.modelfile import read_archive; tracemalloc.start();"
        f"a = read_archive({str(path)!r}); print(tracemalloc.get_traced_memory()[1]);"
        "print(any(name in sys.modules for name in ('torch', 'sklearn', 'polars')))"
    )
    peak, heavy = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert 32_000_000 <= int(peak) < 36_000_000
    assert heavy == "False"
