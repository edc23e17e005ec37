"""Training within ``accelerated`` against a plain torch loop, and that nothing is left of it afterwards."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glia import Classifier
from glia.engine import heap
from glia.engine.accelerate import FAST, accelerated
from glia.engine.loop import Trainer


class Convolutional(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.pool, self.drop, self.head = nn.MaxPool2d(2), nn.Dropout(dropout), nn.Linear(8 * 4, 3)

    def forward(self, x):
        x = self.pool(F.relu(self.first(x.view(-1, 1, 8, 8))))
        return self.head(self.drop(self.pool(F.relu(self.second(x))).view(len(x), -1)))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.body, self.head = kind(8, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.body(x.view(-1, 8, 8))[0][:, -1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x.view(-1, 8, 8)).mean(1))


NETWORKS = {
    "convolutional": Convolutional,
    "lstm": Recurrent,
    "gru": lambda: Recurrent(nn.GRU),
    "elman": lambda: Recurrent(nn.RNN),
    "attentive": Attentive,
    "convolution alone": lambda: nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 8), nn.Flatten()),
}


def make(name, seed=0):
    torch.manual_seed(seed)
    return NETWORKS[name](), torch.randn(40, 64), torch.randint(0, 3, (40,))


def train(network, x, y, steps=8):
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()


def snapshot(network):
    """Everything of the modules that may have been touched."""
    return [(m, type(m), set(m.__dict__), len(m._forward_hooks), m.training) for m in network.modules()]


@pytest.mark.parametrize("name", list(NETWORKS))
def test_weights_after_training_equal_a_plain_loops(name):
    network, x, y = make(name)
    plain = copy.deepcopy(network)
    before, keys = snapshot(network), list(network.state_dict())
    train(plain, x, y)
    with accelerated(network):
        changed = any(type(m) is not kind for m, kind, *_ in before)
        assert changed
        assert list(network.state_dict()) == keys and isinstance(network, type(plain))
        train(network, x, y)
    assert snapshot(network) == before
    for key, value in plain.state_dict().items():
        assert torch.allclose(network.state_dict()[key], value, rtol=1e-4, atol=2e-6), key


@pytest.mark.parametrize("name", list(NETWORKS))
def test_all_is_put_back_after_an_error(name):
    network, x, _ = make(name)
    before, threads, output = snapshot(network), torch.get_num_threads(), network(x)
    with pytest.raises(RuntimeError), accelerated(network):
        network(torch.randn(3, 5))
    assert snapshot(network) == before and torch.get_num_threads() == threads
    assert torch.equal(network(x), output)
    assert not torch.overrides._get_current_function_mode_stack()


@pytest.mark.parametrize("name", ["convolutional", "gru"])
def test_copies_and_pickles_within_are_plain(name):
    network, x, _ = make(name)
    kinds = [type(m) for m in network.modules()]
    with accelerated(network):
        copies = [copy.deepcopy(network)]
        copies.append(pickle.loads(pickle.dumps(network)))
    for each in copies:
        assert [type(m) for m in each.modules()] == kinds
        assert torch.allclose(each(x), network(x), atol=1e-6)


NODES = {
    "convolutional": "_ConvolutionBackward",
    "gru": "_GRULayerBackward",
    "elman": "_ElmanLayerBackward",
    "attentive": "_SelfAttentionBackward",
}


@pytest.mark.parametrize("name", list(NODES))
def test_the_fast_way_is_taken_within_only(name):
    network, x, _ = make(name)

    def nodes():
        seen, todo = set(), [network(x).grad_fn]
        while todo:
            node = todo.pop()
            if node is not None and node not in seen:
                seen.add(node)
                todo += [parent for parent, _ in node.next_functions]
        return {type(node).__name__ for node in seen}

    assert NODES[name] not in nodes()
    with accelerated(network):
        assert NODES[name] in nodes()
    assert NODES[name] not in nodes()


def test_subclasses_other_devices_and_types_are_left_alone():
    class Own(nn.GRU):
        pass

    for network in (nn.Sequential(Own(2, 2)), nn.Sequential(nn.GRU(2, 2)).double(), nn.GRU(2, 2, device="meta")):
        before = snapshot(network)
        with accelerated(network):
            assert snapshot(network) == before
    with accelerated(nn.ReLU()):
        pass


def test_within_another_it_undoes_only_its_own():
    network, x, _ = make("convolutional")
    before = snapshot(network)
    with accelerated(network):
        inner = snapshot(network)
        with accelerated(network):
            assert network(x).shape == (40, 3)
        assert snapshot(network) == inner
    assert snapshot(network) == before


def test_hooks_still_run():
    network, x, _ = make("attentive")
    seen = []
    network.body.layers[0].linear1.register_forward_hook(lambda *_: seen.append("inside"))
    network.head.register_forward_hook(lambda *_: seen.append("head"))
    with accelerated(network):
        network(x)
    assert seen == ["inside", "head"]


def test_a_lazy_layer_stays_what_it_becomes():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LazyConv2d(3, 3))
    with accelerated(network):
        network(torch.randn(1, 1, 8, 8))
    assert [type(m) for m in network] == [nn.Conv2d, nn.Conv2d]


def test_names_stay_for_messages():
    network, _, _ = make("lstm")
    text = repr(network)
    with accelerated(network):
        assert repr(network) == text and type(network.body).__name__ == "LSTM"


def test_every_stand_in_is_a_subclass_without_state_of_its_own():
    for own, fast in FAST.items():
        assert issubclass(fast, own) and "__init__" not in vars(fast)


@pytest.mark.parametrize("name", ["convolutional", "gru"])
def test_a_classifier_of_a_users_network_gives_the_same(name, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 64)).astype(np.float32)
    y = (x[:, :8].sum(1) > 0).astype(int) + (x[:, 8:16].sum(1) > 0)
    torch.manual_seed(0)
    made, results, entered = NETWORKS[name](), [], []
    plain = Trainer.fit

    def fit(self, *args, **kwargs):
        with accelerated(self.network):
            entered.append([type(m) for m in self.network.modules()])
            return plain(self, *args, **kwargs)

    for fast in (False, True):
        if fast:
            monkeypatch.setattr(Trainer, "fit", fit)
        model = Classifier(network=made, epochs=3, random_state=0).fit(x, y)
        results.append(model.predict_proba(x))
    assert entered and entered[0] != [type(m) for m in made.modules()]
    assert np.allclose(*results, atol=1e-5)


class Fake:
    """Stands for the C library and notes what it is told."""

    def __init__(self):
        self.told = []

    def mallopt(self, option, value):
        self.told.append((option.value, value.value))
        return 1

    def malloc_trim(self, pad):
        self.told.append("trim")


def test_the_heap_is_kept_and_given_back(monkeypatch):
    fake = Fake()
    monkeypatch.setattr(heap, "_glibc", lambda: fake)
    with pytest.raises(ValueError), heap.kept_heap():
        during = list(fake.told)
        with heap.kept_heap():
            pass
        assert fake.told == during * 2  # the inner one gives nothing back
        fake.told = list(during)
        raise ValueError
    assert dict(during)[-1] > 2**30 and "trim" not in during
    assert fake.told[len(during) :] == [(-3, 2**25), (-1, 2**26), (-2, 2**17), "trim"]
    monkeypatch.setattr(heap, "_glibc", lambda: None)
    with heap.kept_heap():
        pass


def test_other_systems_have_no_such_library(monkeypatch):
    monkeypatch.setattr(heap.sys, "platform", "darwin")
    assert heap._glibc() is None
