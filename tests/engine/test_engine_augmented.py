"""Varied and mixed rows: what they do, that they repeat, and that a fit which was cut off goes on with them."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from glia.core.errors import InputError
from glia.engine.augmented import AugmentedRows
from glia.engine.balanced import BalancedRows
from glia.engine.callbacks import Callback
from glia.engine.image_transforms import Flip, OneAfterAnother, Shift
from glia.engine.loop import Trainer
from glia.engine.mixing import MixedLoss, MixedTargets, Mixing, _beta
from glia.engine.rows import Rows, rows_at_once
from glia.objectives import losses


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def test_flip_mirrors_about_half_and_nothing_else():
    x = torch.randn(400, 2, 3, 5)
    for axis in (-1, -2):
        out = Flip(axis)(x, chance())
        same, mirrored = ((out == other).flatten(1).all(1) for other in (x, x.flip(axis)))
        assert bool((same ^ mirrored).all()) and 0.4 < mirrored.float().mean() < 0.6


def test_shift_moves_by_whole_pixels_in_all_directions():
    x = torch.randn(300, 1, 6, 7)
    out = Shift(1, 2)(x, chance())
    padded = torch.nn.functional.pad(x, (2, 2, 1, 1), mode="replicate")
    found = set()
    for i in range(len(x)):
        places = [(d, r) for d in range(3) for r in range(5) if torch.equal(out[i], padded[i, :, d : d + 6, r : r + 7])]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) == 15  # every distance occurs
    assert torch.equal(Shift(0, 0)(x, chance()), x)
    with pytest.raises(InputError):
        Shift(-1, 0)


def test_beta_draws_are_beta():
    generator = chance(3)
    for alpha in (0.2, 1.0, 2.5):
        drawn = [_beta(alpha, generator) for _ in range(800)]
        assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).pvalue > 0.001
        assert stats.kstest(drawn, stats.beta(3 * alpha, alpha).cdf).pvalue < 1e-6  # negative control


def test_mixed_loss_is_that_of_the_soft_target():
    torch.manual_seed(0)
    output, first, second = torch.randn(6, 4), torch.randint(4, (6,)), torch.randint(4, (6,))
    share = torch.full((6,), 0.3)
    soft = 0.3 * nn.functional.one_hot(first, 4) + 0.7 * nn.functional.one_hot(second, 4)
    expected = -(soft * torch.log_softmax(output, 1)).sum(1)
    loss = MixedLoss(losses.get("cross_entropy")())
    torch.testing.assert_close(loss(output, MixedTargets(first, second, share, 1 - share)), expected)
    torch.testing.assert_close(loss(output, first), nn.functional.cross_entropy(output, first, reduction="none"))


def test_mixup_rows_are_between_two_rows():
    x, y = torch.eye(8), torch.arange(8)
    mixed, target, weight = Mixing("mixup", 1.0)(x, y, None, chance(1))
    assert weight is None
    for i in range(8):
        expected = target.share[i] * x[target.first[i]] + target.rest[i] * x[target.second[i]]
        torch.testing.assert_close(mixed[i], expected)
    torch.testing.assert_close(target.share + target.rest, torch.ones(8))


def test_cutmix_share_is_the_area_that_is_left():
    count = 16
    x = torch.arange(count, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 10, 12).clone()
    for seed in range(20):
        mixed, target, _ = Mixing("cutmix", 1.0)(x, torch.arange(count), None, chance(seed))
        for i in range(count):
            if target.second[i] != i:
                assert float((mixed[i] == i).float().mean()) == pytest.approx(float(target.share[i]), abs=1e-6)
            assert set(mixed[i].unique().long().tolist()) <= {i, int(target.second[i])}


def test_weights_count_both_rows():
    x, y, weight = torch.randn(4, 3), torch.arange(4), torch.tensor([0.5, 1.0, 1.5, 1.0])
    _, target, _ = Mixing("mixup", 1.0)(x, y, weight, chance(2))
    lam = float(target.share[0] / weight[0])
    torch.testing.assert_close(target.rest, weight[target.second] * (1 - lam))
    assert Mixing("mixup")(x[:1], y[:1], None, chance())[1] is not None
    for wrong in ({"kind": "mix"}, {"alpha": 0.0}, {"chance": 0.0}):
        with pytest.raises(InputError):
            Mixing(**wrong)


SOURCE = AugmentedRows(
    Rows(torch.randn(50, 1, 6, 6, generator=chance(5)), torch.arange(50) % 3),
    OneAfterAnother((Shift(1, 1), Flip())),
    Mixing("both"),
)


def test_epochs_repeat_and_can_be_entered_in_the_middle():
    whole, again, rest = (list(SOURCE.epoch(8, 7, 2, skip)) for skip in (0, 0, 3))
    assert len(whole) == 7 and len(rest) == 4
    for one, other in zip(whole + whole[3:], again + rest, strict=True):
        assert torch.equal(one[0], other[0])
    assert not torch.equal(next(SOURCE.epoch(8, 7, 3))[0], whole[0][0])
    balanced = AugmentedRows(BalancedRows(SOURCE.x, (torch.arange(50) < 5).long()), Flip())
    assert 3 <= int(next(balanced.epoch(8, 0, 0))[1].sum()) <= 5
    assert SOURCE.fingerprint() != AugmentedRows(SOURCE.rows, Flip()).fingerprint()
    assert len(SOURCE) == 50 and SOURCE.weight is None and SOURCE.y.shape == (50,)


class Cut(Callback):
    def __init__(self, at):
        self.at, self.kept = at, None

    def on_step_end(self, trainer):
        if trainer.step == self.at:
            self.kept = trainer.state()
            raise KeyboardInterrupt


class Again(Callback):
    def __init__(self, state):
        self.kept = state

    def on_fit_start(self, trainer):
        trainer.restore(self.kept)


def trained(*callbacks):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3)
    )
    loss = SOURCE.mixing.loss(losses.get("cross_entropy")())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    trainer = Trainer(network, loss, optimizer, epochs=3, batch_size=8, callbacks=list(callbacks), random_state=4)
    trainer.fit(SOURCE)
    return network


def test_a_fit_that_was_cut_off_ends_at_the_same_bits():
    whole, cut = trained(Callback()), Cut(10)
    broken = trained(cut)
    resumed = trained(Again(cut.kept))
    for one, other, early in zip(
        whole.state_dict().values(), resumed.state_dict().values(), broken.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
        assert not torch.equal(one, early)


def test_few_large_rows_at_once():
    assert rows_at_once((10,)) == 4096 and rows_at_once(()) == 4096
    assert rows_at_once((1, 28, 28)) % 16 == 0 and rows_at_once((3, 224, 224)) == 16
    assert np.prod((1, 28, 28)) * rows_at_once((1, 28, 28)) <= 1 << 18
