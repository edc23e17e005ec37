"""Devices, threads and the machine's record, against what the system and torch say."""

import json
import os

import pytest
import torch

from glia.core.errors import InputError
from glia.core.hardware import (
    choose_threads,
    cores,
    describe_machine,
    matmul_precision,
    memory_bytes,
    pick_device,
    threads,
)


def test_auto_prefers_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in ((False, False, "cpu"), (False, True, "mps"), (True, True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert pick_device("auto") == pick_device() == torch.device(expected)


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert pick_device(torch.device("cuda", 0)) == torch.device("cuda", 0)
    with pytest.raises(InputError, match=r"must be present · got device='cuda:2' · .* cuda:0 to cuda:1"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuad", r"got device='cuad' · did you mean 'cuda'\?"),
        ("cpu:x", "the device must be a known name"),
        ("cuda", r"must be present · got device='cuda' · this machine has cpu; or take \"auto\""),
    ],
)
def test_devices_that_cannot_be(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=message):
        pick_device(name)


def test_the_record_is_plain_and_true() -> None:
    record = json.loads(json.dumps(describe_machine()))
    assert record["torch"] == torch.__version__
    assert record["processor"]
    assert 1 <= record["cores"] == cores() <= (os.cpu_count() or 1)
    assert record["memory"] is None or record["memory"] > 2**28
    assert record["memory"] == memory_bytes()
    assert record["blas"] != "unknown"


def test_small_steps_get_one_thread_and_large_ones_all() -> None:
    assert [choose_threads(flops, 2) for flops in (0, 5e6, 1.99e7, 2e7, 1e12)] == [1, 1, 1, 2, 2]
    assert [choose_threads(flops, 8) for flops in (1e6, 5e7, 1e9)] == [1, 3, 8]
    assert choose_threads(1e12) == cores()
    assert choose_threads(1e12, 0) == 1


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
        with pytest.raises(RuntimeError, match="stop"), threads(1):
            assert torch.get_num_threads() == 1
            raise RuntimeError("stop")
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    for count in (0, -1, 1.5, True):
        with pytest.raises(InputError, match="at least 1"), threads(count):  # type: ignore[arg-type]
            pass


def test_precision_is_put_back() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError, match="stop"), matmul_precision("medium"):
        assert torch.get_float32_matmul_precision() == "medium"
        raise RuntimeError("stop")
    assert torch.get_float32_matmul_precision() == before
    with pytest.raises(InputError, match=r"did you mean 'highest'\?"), matmul_precision("higest"):  # type: ignore[arg-type]
        pass
