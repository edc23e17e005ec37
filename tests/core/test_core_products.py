from __future__ import annotations

import pytest
import torch

from glia.core import products, workload
from glia.core.hardware import choose_threads
from glia.core.products import onednn_is_faster, onednn_products
from glia.core.workload import BATCHED_FLOPS_FOR_ONEDNN, FLOPS_FOR_ONEDNN, suited_to


def _setting() -> str:
    return str(torch.backends.mkldnn.matmul.fp32_precision)  # type: ignore[attr-defined]


@pytest.fixture
def on_amd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the rule say yes, whatever the processor."""
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)


@pytest.mark.usefixtures("on_amd")
def test_the_switch_is_put_back_after_errors_too() -> None:
    before, precision = _setting(), torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError, match="stop"), onednn_products():
        assert _setting() == "bf16"
        raise RuntimeError("stop")
    assert _setting() == before
    assert torch.get_float32_matmul_precision() == precision
    with onednn_products(wanted=False):
        assert _setting() == before


@pytest.mark.parametrize(
    ("maker", "instructions", "error", "faster"),
    [
        ("AuthenticAMD", "AVX512", 4e-7, True),
        ("AuthenticAMD", "AVX512", 3e-3, False),  # it rounds to bfloat16
        ("AuthenticAMD", "AVX2", 4e-7, False),
        ("GenuineIntel", "AVX512", 4e-7, False),
        ("", "AVX512", 4e-7, False),
    ],
)
def test_only_float32_by_avx512_on_amd_is_switched(
    maker: str, instructions: str, error: float, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._C, "_has_mkldnn", True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
    monkeypatch.setattr(products, "processor_maker", lambda: maker)
    monkeypatch.setattr(products, "_error_by_onednn", lambda: error)
    assert onednn_is_faster.__wrapped__() is faster


@pytest.mark.skipif(not onednn_is_faster(), reason="torch's default is the faster library on this processor")
def test_products_are_of_float32_where_the_switch_is_used() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(shape, generator=generator) for shape in ((300, 700), (700, 200)))
    exact = left.double() @ right.double()
    with onednn_products():
        found = left @ right
    assert float((found - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.usefixtures("on_amd")
@pytest.mark.parametrize(("batched", "least"), [(False, FLOPS_FOR_ONEDNN), (True, BATCHED_FLOPS_FOR_ONEDNN)])
def test_a_block_is_set_by_the_size_of_its_steps(batched: bool, least: float) -> None:
    before, count = _setting(), torch.get_num_threads()
    for flops, chosen in ((0.9 * least, before), (least, "bf16")):
        with suited_to(flops, batched=batched):
            assert _setting() == chosen
            assert torch.get_num_threads() == min(count, choose_threads(flops))
        assert (_setting(), torch.get_num_threads()) == (before, count)


def test_no_block_takes_more_threads_than_torch_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "choose_threads", lambda flops: 99)
    count = torch.get_num_threads()
    with suited_to(1e12):
        assert torch.get_num_threads() == count
    with suited_to(1e12, helpers=1):
        assert torch.get_num_threads() == max(1, count - 1)
    with suited_to(1e12, helpers=count + 3):
        assert torch.get_num_threads() == 1
