"""The README's python blocks run, in order and in one namespace, as a reader would paste them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glia.data.bundled import load

README = Path(__file__).parents[1] / "README.md"


def python_blocks(text):
    """Return (line number of the first line, code) for each ```python block; other blocks are for reading only."""
    fence = re.compile(r"^```python[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n") + 1, match.group(1)) for match in fence.finditer(text)]


def run_blocks(text, namespace, file="README.md"):
    """Run the blocks; a traceback points to the line of the README."""
    blocks = python_blocks(text)
    for line, code in blocks:
        exec(compile("\n" * (line - 1) + code, file, "exec"), namespace)
    return len(blocks)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Give a folder with the files, and a namespace with the frames, that the README speaks of."""
    people = load("adult").sample(1500, seed=0, shuffle=True)
    people[:1000].write_csv(tmp_path / "people.csv")
    people[1000:].write_csv(tmp_path / "labelled.csv")
    people[1000:].drop("income").write_parquet(tmp_path / "new.parquet")
    monkeypatch.chdir(tmp_path)
    frame = people[:1000].drop("income")
    return {"__name__": "readme", "frame": frame, "y": people["income"][:1000], "rows": people[1000:].drop("income")}


def test_readme_blocks_run(reader):
    assert run_blocks(README.read_text(encoding="utf-8"), reader) >= 1, "the README has no python block"


TEXT = "# T\n```python\na = 1\n```\n```console\n$ no python\n```\n```python\nb = a + 1\n{}\n```\n"


def test_blocks_share_one_namespace_and_others_are_not_run():
    namespace = {}
    assert run_blocks(TEXT.format("c = b"), namespace) == 2
    assert namespace["c"] == 2


def test_a_failing_block_is_named_by_its_line():
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks(TEXT.format("1 / 0"), {})
    assert caught.traceback[-1].lineno + 1 == 10  # the line of the README
