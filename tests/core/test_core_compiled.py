"""Kernels in C++: compiled once on the user's machine, and never missed where they cannot be had."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from glia.core import compiled

SOURCE = """
#include <cstdint>
extern "C" void add(std::int64_t n, int threads, float factor, const float* x, float* y) {
#pragma omp parallel for num_threads(threads)
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}
"""
needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("c++") or shutil.which("g++")),
    reason="this machine has no C++ compiler",
)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GLIA_KERNELS", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    path = tmp_path / "add.cpp"
    path.write_text(SOURCE)
    compiled._library.cache_clear()
    yield str(path)
    compiled._library.cache_clear()


def kept(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


@needs_compiler
def test_a_function_takes_tensors_and_numbers(source):
    x, y = torch.arange(5.0), torch.ones(5)
    compiled.kernels(source, add="nifpp")["add"](5, 2, 0.5, x, y)
    assert torch.equal(y, 1 + 0.5 * torch.arange(5.0))


@needs_compiler
def test_a_library_is_compiled_once_and_again_for_another_source(source, tmp_path, monkeypatch):
    assert compiled.kernels(source, add="nifpp")
    first = kept(tmp_path)
    compiled._library.cache_clear()
    with monkeypatch.context() as without:
        without.setenv("PATH", "")  # the compiler is not needed any more
        assert compiled.kernels(source, add="nifpp") and kept(tmp_path) == first and len(first) == 1
    compiled._library.cache_clear()
    with open(source, "a") as file:
        file.write("// another one\n")
    assert compiled.kernels(source, add="nifpp") and len(kept(tmp_path)) == 2


@needs_compiler
def test_processes_that_compile_at_once_do_not_disturb_each_other(source, tmp_path):
    code = (
        "import sys, torch; from glia.core.compiled import kernels; y = torch.ones(3);"
        "kernels(sys.argv[1], add='nifpp')['add'](3, 1, 2.0, torch.ones(3), y); print(y.tolist())"
    )
    call = lambda _: subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=True)  # noqa: E731
    with ThreadPoolExecutor(2) as pool:
        assert [done.stdout.strip() for done in pool.map(call, range(2))] == ["[3.0, 3.0, 3.0]"] * 2
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("reason", ["switched off", "no compiler", "a broken source", "a broken library", "another's"])
def test_without_kernels_there_are_none_and_nothing_fails(source, tmp_path, monkeypatch, reason):
    if reason == "switched off":
        monkeypatch.setenv("GLIA_KERNELS", "off")
    elif reason == "no compiler":
        monkeypatch.setenv("PATH", "")
    elif reason == "a broken source":
        with open(source, "a") as file:
            file.write("#error for this processor it is not\n")
    else:
        folder = tmp_path / "cache" / "glia" / "kernels"
        folder.mkdir(parents=True)
        if reason == "another's":
            folder.chmod(0o777)
        else:
            monkeypatch.setattr(compiled, "_compile", lambda source, path: path.write_bytes(b"no library"))
    assert compiled.kernels(source, add="nifpp") == {}


def test_a_home_that_cannot_be_written_to_is_no_obstacle(source, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert compiled.kernels(source, add="nifpp") == {}
    compiled._library.cache_clear()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987654)  # a user whom the system does not know
    assert compiled.kernels(source, add="nifpp") == {}
