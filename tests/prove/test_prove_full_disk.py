"""A disk that is really full: training goes on, older checkpoints stay whole, and with room comes the next one."""

import errno
import subprocess
import warnings

import pytest
import torch
from torch import nn

from glia.engine.callbacks import Callback
from glia.engine.checkpoint import checkpoint_files, read_checkpoint
from glia.engine.checkpointing import Checkpointing
from glia.engine.loop import Trainer
from glia.engine.rows import Rows
from glia.objectives import losses

pytestmark = pytest.mark.slow
SIZE = 1 << 20


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(disk):
    """Write until nothing more goes in."""
    try:
        with (disk / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC


class Room(Callback):
    """Fills the disk after some steps, and empties it after some more."""

    def __init__(self, disk, full_at, free_at):
        self.disk, self.full_at, self.free_at, self.kept = disk, full_at, free_at, []

    def on_step_end(self, trainer):
        if trainer.step == self.full_at:
            fill(self.disk)
            self.kept = [path.read_bytes() for path in checkpoint_files(self.disk / "run")]
        elif self.full_at < trainer.step <= self.free_at:
            assert [path.read_bytes() for path in checkpoint_files(self.disk / "run")] == self.kept
            found = read_checkpoint(self.disk / "run")
            assert found.state[0]["place"]["step"] == self.full_at - 1
        if trainer.step == self.free_at:
            (self.disk / "filler").unlink()


def fit(callbacks):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(50, 200), nn.Tanh(), nn.Linear(200, 1))
    x = torch.randn(64, 50)
    optimizer = torch.optim.Adam(net.parameters())
    Trainer(net, losses.get("mse")(), optimizer, epochs=5, batch_size=8, callbacks=callbacks).fit(Rows(x, x[:, :1]))
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_a_full_disk(disk):
    seconds = iter(range(10**6))
    keep = Checkpointing(disk / "run", 0.5, fingerprint={}, clock=lambda: float(next(seconds)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        weights = fit([Room(disk, 10, 30), keep])
    assert [str(one.message) for one in seen] == [
        f"no checkpoint could be written to {disk / 'run'} (No space left on device): training goes on and tries again"
    ]
    last = read_checkpoint(disk / "run")
    assert last.state[0]["place"]["epoch"] == 5 and len(list((disk / "run").iterdir())) == 2
    assert torch.equal(weights, fit([]))
