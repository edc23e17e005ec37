"""Random damage: every damaged model file is refused with Glia's own error, or still holds exactly the same content."""

import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glia.core.errors import ModelFileError
from glia.core.modelfile import read_archive, write_archive


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "model.glia"
    tensors = {"w": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), "n": np.arange(3)}
    write_archive(path, {"task": "regression"}, tensors, parts={"schema.json": {"columns": ["a", "b"]}})
    return path, path.read_bytes(), read_archive(path)


def check(path, data, original):
    """Return whether the damage was noticed; it may pass only where nothing was changed that is given back."""
    path = path.with_name("damaged.glia")
    path.write_bytes(data)
    try:
        found = read_archive(path)
    except ModelFileError as error:
        assert "\n" not in str(error) and error.must and error.do
        return True
    assert found.manifest == original.manifest and found.parts == original.parts
    assert found.tensors.keys() == original.tensors.keys()
    for name, array in found.tensors.items():
        assert array.dtype == original.tensors[name].dtype
        np.testing.assert_array_equal(array, original.tensors[name])
    return False


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes(sample, flips):
    path, data, original = sample
    damaged = bytearray(data)
    for where, mask in flips:
        damaged[int(where * len(damaged))] ^= mask
    check(path, bytes(damaged), original)


def test_every_single_flipped_byte(sample):
    path, data, original = sample
    missed = []
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        if not check(path, bytes(damaged), original):
            missed.append(at)
    with zipfile.ZipFile(path) as archive:
        starts, directory = [entry.header_offset for entry in archive.infolist()], archive.start_dir
    free = {start + at for start in starts for at in (4, 5, 10, 11, 12, 13)}  # version and date in front of a member
    for _ in starts:
        names = int.from_bytes(data[directory + 28 : directory + 30], "little")
        # Versions, date and attributes in the directory, which say nothing about the content.
        free |= {directory + at for at in (4, 5, 6, 7, 12, 13, 14, 15, *range(36, 42))}
        directory += 46 + names
    assert set(missed) <= free


def test_every_truncation(sample):
    path, data, original = sample
    assert all(check(path, data[:end], original) for end in range(0, len(data), 3))
    assert all(check(path, data[start:], original) for start in range(1, len(data), 7))


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.binary(max_size=40), st.integers(0, 40))
@example(0.0, b"PK\x03\x04", 4)
def test_replaced_stretches(sample, where, inserted, removed):
    path, data, original = sample
    at = int(where * len(data))
    damaged = data[:at] + inserted + data[at + removed :]
    noticed = check(path, damaged, original)
    assert noticed or len(damaged) == len(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_noise(sample, noise, with_head):
    path, _, original = sample
    assert check(path, (b"PK\x03\x04" if with_head else b"") + noise, original)
