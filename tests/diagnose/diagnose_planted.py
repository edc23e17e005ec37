"""Networks broken on purpose, and healthy ones: each is trained for real, on few rows, in a second or less."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import nn

import glia
from glia.core.seeds import seeded
from glia.diagnose import diagnose
from glia.engine.callbacks import EarlyStopping
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.rows import Rows
from glia.objectives import Objective

LR = 0.003
SEED = 0  # another one draws other rows and other weights for all patients


def rings(rows, seed=0, noise=0.0):
    """Two classes that no line parts: inside and outside of a circle in two of five columns."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    y = (x[:, 0] ** 2 + x[:, 1] ** 2 > 1.4).astype(np.int64)
    flip = rng.random(rows) < noise
    return x, np.where(flip, 1 - y, y)


def blobs(rows, seed=0, classes=3):
    """Overlapping classes around corners."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    return (2.0 * np.eye(classes, 4)[y] + rng.normal(size=(rows, 4))).astype(np.float32), y


def waves(rows, seed=0):
    """A smooth quantity with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return x, (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.2 * rng.normal(size=rows)).astype(np.float32)


def stack(width, depth, activation, inputs=5, outputs=1):
    sizes = [inputs, *[width] * depth]
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


@dataclass
class Patient:
    """A trained network with its rows, as ``diagnose`` takes them."""

    model: object
    train: tuple
    held: tuple
    extra: dict = field(default_factory=dict)

    def diagnose(self, **more):
        return diagnose(self.model, *self.train, held_out=self.held, **self.extra, **more)


def trained(
    build,
    train,
    held,
    *,
    task="binary",
    epochs=40,
    lr=LR,
    optimizer="adam",
    objective=None,
    batch=32,
    stop=0,
    seed=0,
    after=None,
):
    """Train a bare module and return it as a patient."""
    loss = (objective or Objective()).resolve(task).loss
    rule = Optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    with seeded(seed + SEED, "planted"):
        network = build()
    rows, valid = (
        Rows(torch.from_numpy(x), torch.from_numpy(y if task == "multiclass" else y.astype(np.float32)))
        for x, y in (train, held)
    )
    if task == "regression":
        rows, valid = (Rows(part.x, part.y.unsqueeze(1)) for part in (rows, valid))
    callbacks = [EarlyStopping(stop)] if stop else []
    trainer = Trainer(
        network, loss, rule.make(network, lr), epochs=epochs, batch_size=batch, callbacks=callbacks, random_state=SEED
    )
    history = trainer.fit(rows, valid).to_list()
    if after is not None:
        after(network)
    extra = {"history": history, "lr": lr, "optimizer": rule, "batch_size": batch}
    if objective is not None:
        extra["objective"] = objective
    return Patient(glia.wrap(network, task=task), train, held, extra)


def split(make, rows=600, unseen=400, **options):
    return make(rows, 2 * SEED + 1, **options), make(unseen, 2 * SEED + 2, **options)


def relu_net(width=32, depth=2, **shape):
    return lambda: stack(width, depth, nn.ReLU, **shape)


def changed(build, change):
    def made():
        network = build()
        with torch.no_grad():
            for layer in network:
                if isinstance(layer, nn.Linear):
                    change(layer)
        return network

    return made


# --- broken on purpose ------------------------------------------------------------------------------------------------


def deep_sigmoids():
    return trained(lambda: stack(24, 10, nn.Sigmoid), *split(rings), epochs=25)


def large_start():
    def tenfold(layer):
        nn.init.kaiming_normal_(layer.weight)
        layer.weight.mul_(10.0)

    return trained(changed(relu_net(24, 6), tenfold), *split(rings), optimizer="sgd", lr=1e-9, epochs=10)


def large_start_adam():
    def tenfold(layer):
        nn.init.kaiming_normal_(layer.weight)
        layer.weight.mul_(10.0)

    return trained(changed(relu_net(24, 6), tenfold), *split(rings), epochs=10)


def rate_too_high():
    return trained(relu_net(), *split(rings), lr=100 * 0.01)


def rate_too_high_sgd():
    return trained(relu_net(), *split(rings), lr=30.0, optimizer="sgd", epochs=20)


def rate_too_low():
    return trained(relu_net(), *split(rings), lr=LR / 1000)


def dead_relus():
    return trained(changed(relu_net(), lambda layer: layer.bias.fill_(-30.0)), *split(rings))


def saturated_tanhs():
    train, held = split(rings)
    return trained(lambda: stack(24, 2, nn.Tanh), (train[0] * 1000, train[1]), (held[0] * 1000, held[1]), epochs=20)


def flipped_labels():
    return trained(relu_net(), *split(rings, rows=2000, noise=0.3), epochs=12)


def leaked_column():
    def leaking(rows, seed):
        x, y = rings(rows, seed)
        x[:, 4] = y + 0.01 * x[:, 4]
        return x, y

    return trained(relu_net(), *split(leaking))


def learnt_by_heart():
    def few(rows, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, 30)).astype(np.float32)
        return x, (x[:, 0] + x[:, 1] + rng.normal(size=rows) > 0).astype(np.int64)

    return trained(relu_net(128, 2, inputs=30), *split(few, rows=60), epochs=200)


def linear_on_rings():
    return trained(lambda: nn.Sequential(nn.Linear(5, 1)), *split(rings), epochs=60)


def overconfident():
    def sharpen(network):
        with torch.no_grad():
            network[-1].weight.div_(0.2)
            network[-1].bias.div_(0.2)

    def soft(rows, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, 5)).astype(np.float32)
        return x, (1.5 * x[:, 0] + x[:, 1] * x[:, 2] + 1.2 * rng.logistic(size=rows) > 0).astype(np.int64)

    return trained(relu_net(16, 1), *split(soft, rows=2000, unseen=1000), epochs=10, stop=5, after=sharpen)


def constant_start():
    def fill(layer):
        layer.weight.fill_(0.1)
        layer.bias.fill_(0.0)

    return trained(changed(relu_net(), fill), *split(rings))


def unscaled_inputs():
    train, held = split(rings)
    scale = np.array([1, 1, 1000, 1, 5000], dtype=np.float32)
    return trained(relu_net(), (train[0] * scale, train[1]), (held[0] * scale, held[1]), lr=1e-4, optimizer="sgd")


def uphill():
    return trained(
        relu_net(16, 1),
        *split(rings),
        lr=0.03,
        optimizer=Optimizer(torch.optim.SGD, options={"maximize": True}),
        epochs=12,
    )


def wrong_sign():
    def negative(output, target):
        return -nn.functional.binary_cross_entropy_with_logits(output[:, 0], target, reduction="none")

    return trained(relu_net(16, 1), *split(rings), lr=0.05, optimizer="sgd", epochs=12, objective=Objective(negative))


BROKEN = {
    "vanishing gradients": deep_sigmoids,
    "exploding gradients": large_start,
    "exploding gradients (adam)": large_start_adam,
    "rate too high": rate_too_high,
    "rate too high (sgd)": rate_too_high_sgd,
    "rate too low": rate_too_low,
    "dead units": dead_relus,
    "saturation": saturated_tanhs,
    "label noise": flipped_labels,
    "data leak": leaked_column,
    "overfitting": learnt_by_heart,
    "underfitting": linear_on_rings,
    "miscalibration": overconfident,
    "units alike": constant_start,
    "unscaled inputs": unscaled_inputs,
    "wrong direction": uphill,
    "wrong direction (sign)": wrong_sign,
}


# --- healthy ----------------------------------------------------------------------------------------------------------


def well_trained_relu():
    return trained(relu_net(), *split(rings, rows=1000), epochs=40, stop=10)


def well_trained_tanh():
    return trained(lambda: stack(32, 2, nn.Tanh), *split(rings, rows=1000), epochs=60, stop=10)


def three_classes():
    return trained(relu_net(32, 1, inputs=4, outputs=3), *split(blobs, rows=1000), task="multiclass", epochs=15, stop=5)


def a_quantity():
    build = relu_net(48, 2, inputs=4)
    return trained(build, *split(waves, rows=1200), task="regression", epochs=60, stop=15)


def deep_with_norms():
    def build():
        parts = [nn.Linear(5, 24)]
        for _ in range(4):
            parts += [nn.LayerNorm(24), nn.SiLU(), nn.Linear(24, 24)]
        return nn.Sequential(*parts, nn.SiLU(), nn.Linear(24, 1))

    return trained(build, *split(rings, rows=600), epochs=25, stop=8)


def overlapping_classes():
    def soft(rows, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, 5)).astype(np.float32)
        return x, (1.5 * x[:, 0] + x[:, 1] + rng.logistic(size=rows) > 0).astype(np.int64)

    return trained(relu_net(16, 1), *split(soft, rows=1500), epochs=10, stop=5)


def batch_norms():
    def build():
        return nn.Sequential(
            nn.Linear(5, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, 1),
        )

    return trained(build, *split(rings, rows=800), epochs=50, stop=20, batch=128, lr=0.01)


def small_images():
    def pictures(rows, seed):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, rows)
        x = rng.normal(size=(rows, 1, 6, 6)).astype(np.float32)
        x[np.arange(rows), 0, :, rng.integers(0, 6, rows)] += 2.0 * y[:, None]
        return x, y

    def build():
        return nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 1)
        )

    return trained(build, *split(pictures, rows=600, unseen=300), epochs=15, stop=5)


HEALTHY = {
    made.__name__: made
    for made in (
        well_trained_relu, well_trained_tanh, three_classes, a_quantity, deep_with_norms, overlapping_classes,
        batch_norms, small_images,
    )
}  # fmt: skip
