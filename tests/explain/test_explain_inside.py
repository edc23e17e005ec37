"""What is inside a network: units, filters, attention, concepts and layers, each against a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from explain_functions import assert_untouched, known, untouched
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import activation_maximisation, attention_rollout, cka, concept_vectors, filters
from glia.explain.cka import hsic
from glia.nn.modes import evaluating


def rows(count=100, columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


def mlp(seed=0, inputs=4, outputs=2):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, outputs))


def test_a_linear_unit_on_a_ball_is_its_weights_direction():
    X = rows()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    model = glia.wrap(network)
    before = untouched(network)
    found = activation_maximisation(model, X, layer="0", unit=2, radius=1.5)
    assert_untouched(network, before)
    weight = network[0].weight[2].detach().double().numpy()
    want = X.mean(0) + 1.5 * weight / np.linalg.norm(weight)
    np.testing.assert_allclose(found.inputs[0], want, atol=2e-3)
    top = weight @ want + network[0].bias[2].item()
    assert found.values[0] == pytest.approx(top, abs=1e-4) and found.values.min() > top - 0.01
    whole = activation_maximisation(model, X, radius=1.5)
    both = (network[1].weight @ network[0].weight)[0].detach().double().numpy()
    np.testing.assert_allclose(whole.inputs[0] - X.mean(0), 1.5 * both / np.linalg.norm(both), atol=2e-3)
    box = activation_maximisation(model, X, layer="0", unit=2, within="box")
    np.testing.assert_allclose(box.inputs[0], np.where(weight > 0, X.max(0), X.min(0)), atol=1e-5)
    best = X.astype(float) @ weight + network[0].bias[2].item()
    assert found.best_row == best.argmax() and found.best_value == pytest.approx(best.max(), abs=1e-5)
    assert found.tables()[0].rows and found.plot().patches


def test_a_peak_inside_the_ball_is_found_and_images_are_smoothed():
    X = rows(60, 2)
    peak = torch.tensor([0.3, -0.4])
    found = activation_maximisation(known(lambda x: -((x - peak) ** 2).sum(1)), X)
    np.testing.assert_allclose(found.inputs[0], peak, atol=0.01)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    images = np.random.default_rng(0).normal(size=(10, 1, 8, 8)).astype(np.float32)
    model = glia.wrap(network, "multiclass")
    rough = activation_maximisation(model, images, steps=50, starts=2)
    smooth = activation_maximisation(model, images, steps=50, starts=2, smooth=20.0)

    def roughness(found):
        return np.abs(np.diff(found.inputs[0], axis=-1)).mean()

    assert roughness(smooth) < 0.8 * roughness(rough) and rough.inputs.shape == (2, 1, 8, 8)
    assert rough.plot().images and not rough.names


def test_filters_are_the_first_weights():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 36, 2))
    with torch.no_grad():
        network[0].weight[1] = -2 * network[0].weight[0]
        network[0].weight[2] = 1e-5
    model = glia.wrap(network, "multiclass")
    found = filters(model, np.zeros((1, 2, 8, 8), dtype=np.float32))
    np.testing.assert_allclose(found.images, network[0].weight.detach().double())
    assert (found.layer, found.dead, found.twins) == ("0", 1, 1)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(16, 5))
    image = filters(glia.wrap(dense), np.zeros((1, 1, 4, 4), dtype=np.float32))
    assert image.images.shape == (5, 1, 4, 4) and image.plot().images
    table = filters(glia.wrap(mlp()), rows())
    assert table.names == ("x0", "x1", "x2", "x3") and table.images.shape == (16, 1, 1, 4) and table.plot().images
    with pytest.raises(InputError, match="linear or a convolution"):
        filters(glia.wrap(mlp()), rows(), layer="1")


class Attending(nn.Module):
    """Two encoder layers over 5 places of 8 numbers."""

    def __init__(self, even=False):
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 2)
        if even:
            with torch.no_grad():
                for one in self.body.layers:
                    one.self_attn.in_proj_weight[:16] = 0  # queries and keys
                    one.self_attn.in_proj_bias[:16] = 0

    def forward(self, x):
        return self.head(self.body(x).mean(1))


def test_rollout_of_even_attention_is_even():
    x = torch.randn(3, 5, 8)
    model = glia.wrap(Attending(even=True), "multiclass")
    found = attention_rollout(model, x, residual=0.0)
    np.testing.assert_allclose(found.rollout, 0.2, atol=1e-6)
    half = attention_rollout(model, x)
    want = np.linalg.matrix_power(0.5 * np.full((5, 5), 0.2) + 0.5 * np.eye(5), 2)
    np.testing.assert_allclose(half.rollout, np.broadcast_to(want, (3, 5, 5)), atol=1e-6)
    assert found.entropy == pytest.approx([1, 1]) and "Do not rely on it" in half.summary()


def test_rollout_is_the_product_of_the_layers_own_weights():
    torch.manual_seed(1)
    x = torch.randn(7, 5, 8)
    network = Attending()
    for p in network.parameters():
        nn.init.normal_(p, std=0.7)
    network.train()
    before = untouched(network)
    model = glia.wrap(network, "multiclass")
    with torch.no_grad(), evaluating(network):
        plain = network(x)
    found = attention_rollout(model, x, batch_rows=3)
    assert_untouched(network, before)
    assert found.layers == ("body.layers.0.self_attn", "body.layers.1.self_attn")
    with torch.no_grad(), evaluating(network):
        torch.testing.assert_close(network(x), plain)  # it still takes its fast way, to the same end
        first, second = network.body.layers
        a = first.self_attn(x, x, x)[1]
        h = first(x)
        b = second.self_attn(h, h, h)[1]
    eye = torch.eye(5)
    want = (0.5 * b + 0.5 * eye) @ (0.5 * a + 0.5 * eye)
    np.testing.assert_allclose(found.rollout, want, atol=1e-5)
    np.testing.assert_allclose(found.of(0), want[:, 0], atol=1e-5)
    assert found.attention[0].shape == (7, 2, 5, 5) and not found.warnings and found.plot().images
    with pytest.raises(InputError, match="MultiheadAttention"):
        attention_rollout(glia.wrap(mlp()), rows())


def test_a_planted_concept_is_found_and_a_random_one_is_not():
    rng = np.random.default_rng(0)
    network = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Tanh(), nn.Linear(6, 2))
    with torch.no_grad():
        network[0].weight.copy_(0.5 * torch.eye(6))
        network[2].weight[0] = torch.tensor([2.0, 0.3, -0.3, 0.3, 0.0, 0.0])
    x = rows(200, 6)
    base = rng.normal(size=(80, 6)).astype(np.float32)
    random = rng.normal(size=(300, 6)).astype(np.float32)
    base[:, 0] = 2 + 0.3 * rng.normal(size=80)
    model = glia.wrap(network, "multiclass")
    before = untouched(network)
    found = concept_vectors(model, x, base, random, layer="1", name="stripes")
    assert_untouched(network, before)
    assert found.matters and found.score.value > 0.7 and found.p_value < 1e-3 and found.accuracy > 0.9
    assert found.slope > 0 and "'stripes' raises" in found.summary()
    fake = concept_vectors(model, x, rng.normal(size=(80, 6)).astype(np.float32), random, layer="1")
    assert not fake.matters and "random concepts do not have" in fake.summary() and fake.warnings
    assert found.plot().get_title("left") == "stripes matters" and found.tables()


def test_random_concepts_are_found_seldom():
    # the negative control, over many: a concept that the network cannot see is no concept
    network = mlp(1, 6, 2)
    model, x = glia.wrap(network, "multiclass"), rows(60, 6)
    rng = np.random.default_rng(5)
    random = rng.normal(size=(200, 6)).astype(np.float32)
    concepts = [rng.normal(size=(40, 6)).astype(np.float32) for _ in range(20)]
    seen = [concept_vectors(model, x, c, random, layer="2", random_state=s).matters for s, c in enumerate(concepts)]
    assert sum(seen) <= 2


def test_slopes_of_concepts_are_those_of_the_closed_form():
    network = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(3))
        network[1].weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
    random = rows(400, 3)
    concept = random[:100] + np.float32([50, 0, 0])
    found = concept_vectors(glia.wrap(network), rows(20, 3), concept, random, layer="0")
    assert found.score.value == 1 and found.slope == pytest.approx(1, abs=0.01)


def test_cka_of_a_rotation_is_one_and_of_strangers_about_zero():
    X = rows(300, 4)
    network = mlp()
    turned = mlp()
    turned.load_state_dict(network.state_dict())
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))[0]
    mixed = nn.Sequential(turned[0], turned[1], nn.Linear(16, 16, bias=False))
    with torch.no_grad():
        mixed[2].weight.copy_(2.5 * rotation)
    found = cka(glia.wrap(network), X, glia.wrap(mixed), layers=["1"], other_layers=["2"])
    assert found.values[0, 0] == pytest.approx(1, abs=1e-6)

    class Noise(nn.Module):
        """Values that have nothing to do with the rows, more units than rows."""

        def __init__(self, seed):
            super().__init__()
            self.same, self.seed = nn.Identity(), seed

        def forward(self, x):
            made = torch.randn(len(x), 500, generator=torch.Generator().manual_seed(self.seed))
            return self.same(made)

    apart = cka(glia.wrap(Noise(0)), X[:100], glia.wrap(Noise(1)), layers=["same"], other_layers=["same"])
    assert abs(apart.values[0, 0]) < 0.05  # the biased estimator would give about 0.8
    assert apart.by_chance < 0.05
    whole = cka(glia.wrap(network), X)
    np.testing.assert_allclose(np.diag(whole.values), 1)
    np.testing.assert_allclose(whole.values, whole.values.T)
    assert whole.layers == ("0", "1", "2", "3", "4") and whole.plot().images and whole.values[0, 1] > 0.8


def test_hsic_is_unbiased():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        a, b = rng.normal(size=(2, 8, 5))
        ka, kb = a @ a.T, b @ b.T
        np.fill_diagonal(ka, 0)
        np.fill_diagonal(kb, 0)
        found.append(hsic(ka, kb))
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(400)


def test_mistakes_are_named():
    model, X = glia.wrap(mlp()), rows()
    with pytest.raises(InputError, match="'ball' or 'box'"):
        activation_maximisation(model, X, within="bal")
    with pytest.raises(InputError, match="4 has 2"):
        activation_maximisation(model, X, layer="4", unit=7)
    with pytest.raises(InputError, match="10 examples"):
        concept_vectors(model, X, X[:5], X, layer="0")
    with pytest.raises(InputError, match="layer must be one"):
        cka(model, X, layers=["x"])
