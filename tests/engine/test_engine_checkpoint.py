"""Checkpoint files: what is written comes back bit for bit; damage and a stop during writing are noticed."""

import errno
import json
import pickle

import pytest
import torch

from glia.core.errors import InputError
from glia.engine import checkpoint as module
from glia.engine.checkpoint import checkpoint_files, read_checkpoint, sweep, write_checkpoint

TREE = {"epoch": 3, "lr": 1e-3, "best": None, "history": [{"epoch": 1, "train/loss": 0.1 + 0.2}], "text": "Größe"}


def tensors():
    torch.manual_seed(0)
    listed = {
        "/weights": torch.randn(3, 4),
        "/double": torch.randn(2, dtype=torch.float64),
        "/half": torch.randn(5, dtype=torch.float16),
        "/brain": torch.tensor([1.0, -0.0, float("inf"), float("nan"), 3e-40]).to(torch.bfloat16),
        "/brain scalar": torch.tensor(1.5, dtype=torch.bfloat16),
        "/eight": torch.tensor([0.5, -448.0]).to(torch.float8_e4m3fn),
        "/complex": torch.tensor([[1 + 2j]], dtype=torch.complex64),
        "/random": torch.get_rng_state(),
        "/count": torch.tensor(7),
        "/wide": torch.tensor([2**63 - 1, -(2**63)]),
        "/unsigned": torch.tensor([2**16 - 1], dtype=torch.uint16),
        "/mask": torch.tensor([True, False]),
        "/empty": torch.empty(0, 3),
        "/empty brain": torch.empty(2, 0, dtype=torch.bfloat16),
        "/special": torch.tensor([float("nan"), float("-inf"), -0.0]),
        "/turned": torch.randn(4, 3).T,
    }
    return listed


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def alike(one, other):
    return list(one) == list(other) and all(
        one[k].dtype == other[k].dtype and one[k].shape == other[k].shape and bits(one[k]) == bits(other[k])
        for k in one
    )


def write(folder, number, **more):
    return write_checkpoint(folder, ({"number": number}, {"/x": torch.full((3,), float(number))}), **more)


def number(folder):
    found = read_checkpoint(folder)
    return None if found is None else found.state[0]["number"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_everything_comes_back(tmp_path):
    good = ({"epoch": 2}, {"/weights": torch.ones(2, dtype=torch.bfloat16)})
    path = write_checkpoint(tmp_path / "new" / "folder", (TREE, tensors()), good=good, about={"note": "n"})
    found = read_checkpoint(path.parent)
    assert found.path == path and found.damaged == () and found.state[0] == TREE and found.good[0] == good[0]
    assert alike({k: found.state[1][k] for k in tensors()}, tensors()) and len(found.state[1]) == len(tensors())
    assert alike(found.good[1], good[1])
    assert found.about["note"] == "n" and found.about["torch"] == torch.__version__ and "glia" in found.about
    found.state[1]["/weights"].add_(1)  # memory of one's own


def test_the_same_state_gives_the_same_bytes_and_nothing_is_nothing(tmp_path):
    one, other = (write_checkpoint(tmp_path / name, (TREE, tensors())) for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert read_checkpoint(tmp_path / "absent") is None and read_checkpoint(tmp_path) is None
    assert write_checkpoint(tmp_path / "c", ({}, {})) and read_checkpoint(tmp_path / "c").state == ({}, {})


def test_two_are_kept_and_numbers_go_on(tmp_path):
    for i in range(1, 6):
        assert write(tmp_path, i).name == f"{i:06d}.checkpoint" and number(tmp_path) == i
    assert names(tmp_path) == ["000004.checkpoint", "000005.checkpoint"]
    (tmp_path / "000005.checkpoint").rename(tmp_path / "999999.checkpoint")
    (tmp_path / "notes.txt").write_text("mine")
    assert write(tmp_path, 7).name == "1000000.checkpoint" and number(tmp_path) == 7
    assert names(tmp_path) == ["1000000.checkpoint", "999999.checkpoint", "notes.txt"]


def damaged_copies(content):
    """Every truncation in steps of 7 bytes, and every byte in steps of 5 altered in one bit."""
    yield b""
    for size in range(1, len(content), 7):
        yield content[:size]
    for place in range(0, len(content), 5):
        yield content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :]
    yield content + b"\0"
    yield pickle.dumps({"weights": [1.0]})


def test_any_damage_falls_back_to_the_one_before_with_a_warning(tmp_path):
    write(tmp_path, 1)
    path = write(tmp_path, 2)
    content = path.read_bytes()
    for copy in damaged_copies(content):
        path.write_bytes(copy)
        with pytest.warns(UserWarning, match=r"000002\.checkpoint is damaged: going on from the one before, 000001"):
            found = read_checkpoint(tmp_path)
        assert found.state[0]["number"] == 1 and found.damaged == (path,)
    path.write_bytes(content)
    assert number(tmp_path) == 2


def test_all_damaged_is_one_clear_error(tmp_path):
    for i in (1, 2):
        path = write(tmp_path, i)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError) as error:
        read_checkpoint(tmp_path)
    must = "one of a fit's checkpoints must be whole · got 000002.checkpoint, 000001.checkpoint in "
    assert str(error.value).startswith(must) and "its checksum does not match" in str(error.value)
    assert str(error.value).endswith("delete them to start from the beginning")
    path.unlink()
    path.mkdir()  # what cannot be read at all is told as well
    with pytest.raises(InputError, match="000002"):
        read_checkpoint(tmp_path)


def forged(path, head, tensors=b"\x02\0\0\0\0\0\0\0{}"):
    """Write what has a right checksum and a wrong content."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    body = b"glia-checkpoint\n" + len(text).to_bytes(8, "little") + text + tensors
    path.write_bytes(body + module.hashlib.sha256(body).digest())


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"\xff",
        {"version": 1},
        {"version": 1, "types": [], "about": {}, "state": {}},
        {"version": 1, "types": {"state/x": "nn"}, "about": {}, "state": {}},
        {"version": 1, "types": {"state/x": "load"}, "about": {}, "state": {}},
        {"version": 1, "types": {"state/x": "complex128"}, "about": {}, "state": {}},
    ],
)
def test_a_right_checksum_does_not_make_a_right_file(tmp_path, head):
    forged(tmp_path / "000001.checkpoint", head, module.modeltensors.dump({"state/x": torch.ones(1).numpy()}))
    with pytest.raises(InputError, match="must be whole"):
        read_checkpoint(tmp_path)


def test_another_version_says_so(tmp_path):
    write(tmp_path, 1)
    forged(tmp_path / "000002.checkpoint", {"version": 2})
    with pytest.raises(InputError, match=r"must have format version 1 · got '.*000002\.checkpoint': 2 · go on with"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "state",
    [({"x": object()}, {}), ({"x": float("nan")}, {}), ({}, {"/x": torch.zeros(1, dtype=torch.complex128)})],
)
def test_what_cannot_be_kept_is_told_and_leaves_the_older_ones(tmp_path, state):
    write(tmp_path, 1)
    with pytest.raises((TypeError, ValueError)):
        write_checkpoint(tmp_path, state)
    assert names(tmp_path) == ["000001.checkpoint"] and number(tmp_path) == 1


@pytest.mark.parametrize("after", [0, 1, 1000, 100_000])
def test_a_full_disk_leaves_the_older_ones(tmp_path, monkeypatch, after):
    for i in (1, 2):
        write(tmp_path, i)
    left = after

    def put(file, data):
        nonlocal left
        left -= file.write(data[:left])
        if len(data) > left:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_put", put)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tmp_path, ({}, {"/x": torch.zeros(100_000)}))
    assert names(tmp_path) == ["000001.checkpoint", "000002.checkpoint"] and number(tmp_path) == 2


def test_what_a_killed_writer_left_is_swept_up(tmp_path):
    write(tmp_path, 1)
    (tmp_path / ".000002.checkpoint.abc.checkpoint").write_bytes(b"half")
    (tmp_path / ".mine").write_text("mine")
    assert [path.name for path in checkpoint_files(tmp_path)] == ["000001.checkpoint"] and number(tmp_path) == 1
    sweep(tmp_path)
    sweep(tmp_path / "absent")
    assert names(tmp_path) == [".mine", "000001.checkpoint"]
