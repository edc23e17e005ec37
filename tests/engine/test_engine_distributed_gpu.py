"""Workers with a GPU each, over NCCL."""

import pytest
import torch
from distributed_cases import CASES, run_workers

NAMES = [
    "plain", "weighted", "single rows", "everything", "stopping", "norm", "convolution", "idle", "overlapped",
    "sharded", "local", "bfloat16", "powersgd wide",
]  # fmt: skip
LOOSE = {"bfloat16": 1e-2, "powersgd wide": 1e9}


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_workers_on_gpus_end_where_one_process_does(tmp_path, monkeypatch):
    monkeypatch.setenv("GLIA_TEST_DEVICE", "cuda")
    workers = run_workers(tmp_path, NAMES)
    for name in NAMES:
        alone = CASES[name].run()["weights"]
        first, second = (worker[name]["weights"] for worker in workers)
        assert all(torch.equal(first[k], second[k]) for k in alone), name
        assert all(torch.allclose(first[k], alone[k], atol=LOOSE.get(name, 1e-4)) for k in alone), name
