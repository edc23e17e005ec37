"""Several workers against one process: the same weights, figures and stops, by real processes over gloo."""

import distributed_cases
import pytest
import torch
from distributed_cases import CASES, rows, run_workers

from glia.core.errors import InputError
from glia.engine.distributed.place import Place, place
from glia.engine.distributed.settings import Distribution
from glia.engine.distributed.sharding import Sharded, bounds, own_rows
from glia.engine.distributed.teamed import teamed
from glia.engine.rows import Rows

EXACT = [
    "plain", "stream", "weighted", "single rows", "everything", "stopping", "norm", "convolution", "idle", "scarce",
    "overlapped", "overlapped single", "overlapped norm", "rolled back", "sharded", "sharded single",
    "sharded borrowed", "local", "local single",
]  # fmt: skip
OTHERS = [
    "dropout", "dropout again", "bfloat16", "powersgd", "local four", "interrupted", "norm apart", "claim", "lost",
]  # fmt: skip


def distance(one, other):
    """Return the largest difference of weights, in units of the largest weight of a tensor (at least 1)."""
    return max(
        float((one["weights"][k].float() - v.float()).abs().max() / max(1.0, float(v.float().abs().max())))
        for k, v in other["weights"].items()
    )


def same_bits(one, other):
    return all(torch.equal(one["weights"][k], v) for k, v in other["weights"].items())


def figures(result):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in result["history"]]


def test_two_workers_end_where_one_process_does(tmp_path):
    workers = run_workers(tmp_path, [*EXACT, *OTHERS])
    for name in EXACT:
        alone = CASES[name].run()
        for worker in workers:
            assert distance(worker[name], alone) < 1e-5, name
            assert len(worker[name]["history"]) == len(alone["history"]), name
            for ours, theirs in zip(figures(worker[name]), figures(alone), strict=True):
                assert ours == pytest.approx(theirs, rel=2e-4, abs=1e-5), name
            assert worker[name]["stop"] == alone["stop"], name
    for name in (name for name in [*EXACT, *OTHERS] if name in CASES):
        assert same_bits(workers[0][name], workers[1][name]), name
        assert figures(workers[0][name]) == figures(workers[1][name]), name
    check_what_is_approximate([worker for worker in workers if worker])
    check_trouble(workers)


def check_what_is_approximate(workers):
    first = workers[0]
    alone = {name: CASES[name].run() for name in ("plain", "powersgd", "local four")}
    assert same_bits(first["dropout"], first["dropout again"])
    # A control: without one view of all rows, batch normalisation would learn something else.
    assert distance(workers[1]["norm apart"], CASES["even norm"].run()) > 1e-3
    assert 0 < distance(first["bfloat16"], first["plain"]) < 1e-2
    for name, factor in (("powersgd", 1.1), ("local four", 1.5)):
        losses = [entry["train/loss"] for entry in first[name]["history"]]
        target = alone[name]["history"]
        assert losses[-1] < 0.5 * losses[0], name
        assert losses[-1] < factor * target[-1]["train/loss"] + 0.05, name
    parameters = sum(v.numel() for v in first["plain"]["weights"].values())
    assert first["plain"]["sent"] == 4 * (parameters + 4 + 2)  # four tensors; the loss and a word
    assert first["overlapped"]["sent"] == 4 * parameters + 8
    assert first["bfloat16"]["sent"] == 2 * parameters + 8
    assert first["powersgd"]["sent"] < first["overlapped"]["sent"]


def check_trouble(workers):
    first, second = workers
    assert [event["event"] for event in first["rolled back"]["events"]] == ["rolled back"] * 2
    assert first["rolled back"]["events"] == second["rolled back"]["events"]
    assert first["scarce"]["events"] == []
    assert [event["rows"] for event in second["scarce"]["events"]] == [4, 2]
    assert {worker["interrupted"]["stop"] for worker in workers} == {"interrupted"}
    assert sorted(worker["claim"] for worker in workers) == [False, True]
    assert "lost connection to another worker" in first["lost"]
    assert "lost" not in second  # it left before it could say anything


@pytest.mark.slow
def test_compression_keeps_its_order_where_gradients_fill_several_buckets(tmp_path):
    name = "powersgd wide"
    workers = run_workers(tmp_path, [name])
    assert same_bits(workers[0][name], workers[1][name])
    losses = [entry["train/loss"] for entry in workers[0][name]["history"]]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.slow
def test_three_workers_end_where_one_process_does(tmp_path):
    workers = run_workers(tmp_path, EXACT, world=3, timeout=300)
    for name in EXACT:
        alone = CASES[name].run()
        assert all(distance(worker[name], alone) < 2e-5 for worker in workers), name


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_parts_are_consecutive_complete_and_nearly_equal(count, world):
    parts = [bounds(count, rank, world) for rank in range(world)]
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(count))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("wrap", [lambda source: source, distributed_cases.Streamed])
@pytest.mark.parametrize(("count", "batch", "skip"), [(37, 8, 0), (37, 8, 2), (33, 8, 0), (9, 1, 3), (2, 50, 0)])
def test_shards_are_the_pieces_of_each_mini_batch(wrap, count, batch, skip):
    data = rows(count, weighted=True)
    whole = list(data.epoch(batch, 3, 1, skip))
    shards = [Sharded(wrap(data), rank, 3) for rank in range(3)]
    seen = []
    for parts in zip(*(shard.epoch(batch, 3, 1, skip) for shard in shards), strict=True):
        counted = [part for part, shard in zip(parts, shards, strict=True) if shard.part.here]
        assert all(len(part[0]) >= 1 for part in parts)
        assert sum(shard.part.share for shard in shards) == pytest.approx(1.0)
        seen.append(tuple(torch.cat([part[i] for part in counted]) for i in range(3)))
    assert all(
        torch.equal(a, b) for one, other in zip(whole, seen, strict=True) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [1, 2, 6, 7])
def test_measured_parts_are_equally_long_and_weigh_what_the_whole_does(count, weighted):
    data = rows(count, weighted=weighted)
    parts = [own_rows(data, rank, 3) for rank in range(3)]
    assert len({len(part) for part in parts}) == 1
    weight = torch.ones(count) if data.weight is None else data.weight
    weights = [torch.ones(len(part)) if part.weight is None else part.weight for part in parts]
    total = sum(float((w * part.y[:, 0]).sum()) for part, w in zip(parts, weights, strict=True))
    assert total == pytest.approx(float((weight * data.y[:, 0]).sum()), abs=1e-5)
    assert sum(float(w.sum()) for w in weights) == pytest.approx(float(weight.sum()))


def test_a_process_alone_is_left_alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    train, valid = rows(), Rows(torch.ones(1, 4), torch.ones(1, 1))
    assert place() == Place()
    with teamed(object(), train, valid) as parts:
        assert parts[0] is train
        assert parts[1] is valid


@pytest.mark.parametrize("values", [("2", "2"), ("-1", "2"), ("one", "2"), ("0", "")])
def test_contradicting_numbers_of_workers_are_refused(monkeypatch, values):
    monkeypatch.setenv("RANK", values[0])
    monkeypatch.setenv("WORLD_SIZE", values[1])
    with pytest.raises(InputError, match="use torchrun"):
        place()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"compression": "bfloat"}, "did you mean 'bfloat16'"),
        ({"messages": "many"}, "choose one of|did you mean"),
        ({"rank": 0}, "rank must be a whole number"),
        ({"local_steps": 1.5}, "local_steps must be a whole number"),
        ({"compression": "powersgd", "local_steps": 4}, "exclude each other"),
        ({"shard_parameters": True, "local_steps": 4}, "exclude each other"),
        ({"compression": "bfloat16", "messages": "one"}, "overlapped"),
    ],
)
def test_ways_that_do_not_go_together_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        Distribution(**settings)
