"""A pretrained module with a new head: its features, what is frozen, its rates and stages."""

import pytest
import torch
from torch import nn

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.nn import Backbone, LowRank, ResNet, as_network, layer_stages, merge, reverse_gradient
from glia.nn.backbone_network import Standardised
from glia.nn.module_features import masked_mean, pooled_features
from glia.nn.pretrained import _check_repeats

LAYOUT = Layout((3, 16, 16))


@pytest.fixture(scope="module")
def pretrained():
    torch.manual_seed(0)
    network = ResNet(10, width=8).build(LAYOUT, 7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return network.eval()


def test_features_are_what_comes_into_the_last_linear_layer(pretrained):
    built = Backbone(pretrained).build(LAYOUT, 2).eval()
    x = torch.randn(5, 3, 16, 16)
    seen = []
    handle = pretrained.fc.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    pretrained(x)
    handle.remove()
    assert torch.equal(built.encode(x), seen[0])
    assert built(x).shape == (5, 2)
    assert isinstance(pretrained.fc, nn.Linear)  # the source itself is untouched


def test_features_of_a_layer_by_name_are_averaged_over_positions(pretrained):
    built = Backbone(pretrained, layer="layer2").build(LAYOUT, 2).eval()
    x = torch.randn(5, 3, 16, 16)
    stem = torch.relu(pretrained.bn1(pretrained.conv1(x)))
    expected = pretrained.layer2(pretrained.layer1(pretrained.maxpool(stem))).mean((2, 3))
    torch.testing.assert_close(built.encode(x), expected)
    assert not any(module._forward_hooks for module in built.modules())


def test_sequences_are_averaged_over_real_steps():
    states, mask = torch.randn(2, 4, 3), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    found = masked_mean(states, mask)
    torch.testing.assert_close(found[0], states[0, :2].mean(0))
    x = torch.cat([torch.randn(2, 4, 1), mask[..., None].float()], dim=2)
    torch.testing.assert_close(pooled_features(states, x), found)
    torch.testing.assert_close(pooled_features(states, torch.randn(2, 9)), states.mean(1))


@pytest.mark.parametrize("tune", ["frozen", "lora"])
def test_what_is_frozen_does_not_move_nor_its_statistics(pretrained, tune):
    torch.manual_seed(0)
    built = Backbone(pretrained, tune=tune).build(LAYOUT, 2)
    kept = {name: value.clone() for name, value in built.features.state_dict().items()}
    optimizer = torch.optim.AdamW(built.parameters(), lr=0.1, weight_decay=0.3)
    for _ in range(3):
        built.train()
        optimizer.zero_grad()
        built(torch.randn(6, 3, 16, 16)).square().mean().backward()
        optimizer.step()
    changed = {name for name, value in built.features.state_dict().items() if not torch.equal(value, kept[name])}
    assert all(name.endswith((".up", ".down")) for name in changed)
    assert bool(changed) == (tune == "lora")


def test_full_tuning_moves_everything(pretrained):
    built = Backbone(pretrained, tune="full").build(LAYOUT, 2)
    assert all(p.requires_grad for p in built.parameters())
    built.train()
    fixed = [name for name, module in built.named_modules() if not module.training]
    assert fixed == [name for name, module in built.named_modules() if isinstance(module, nn.BatchNorm2d)]
    kept = built.features.module.bn1.running_mean.clone()
    built(torch.randn(4, 3, 16, 16)).sum().backward()
    assert torch.equal(built.features.module.bn1.running_mean, kept)
    assert all(p.grad is not None for p in built.parameters())


def test_adapters_begin_as_nothing_and_can_be_merged(pretrained):
    x = torch.randn(4, 3, 16, 16)
    plain = Backbone(pretrained).build(LAYOUT, 2).eval()
    built = Backbone(pretrained, tune="lora", rank=2).build(LAYOUT, 2).eval()
    assert torch.equal(built.encode(x), plain.encode(x))
    with torch.no_grad():
        for layer in built.modules():
            if isinstance(layer, LowRank):
                layer.up.normal_(std=0.02)
    expected = built.encode(x)
    assert merge(built) == 12  # every convolution, since what is left has no linear layer
    torch.testing.assert_close(built.encode(x), expected, rtol=1e-4, atol=1e-5)


def test_stages_go_from_the_input_to_the_output(pretrained):
    names = [stage.names for stage in layer_stages(pretrained)]
    assert names == [("conv1", "bn1"), ("layer1.0",), ("layer2.0",), ("layer3.0",), ("layer4.0",), ("fc",)]
    block = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    assert [stage.names for stage in layer_stages(block, "a")] == [("a.0", "a.1"), ("a.2.0",), ("a.2.1",)]
    covered = [
        name for name, _ in pretrained.named_parameters() if any(s.holds(name) for s in layer_stages(pretrained))
    ]
    assert len(covered) == len(list(pretrained.parameters()))


def test_rates_fall_towards_the_input(pretrained):
    built = Backbone(pretrained, tune="full", rate=0.1, rate_decay=0.5).build(LAYOUT, 2)
    found = built.rate_scales()
    assert found["features.module.layer4.0"] == pytest.approx(0.1)
    assert found["features.module.layer3.0"] == pytest.approx(0.05)
    assert found["features.module.conv1"] == found["features.module.bn1"] == pytest.approx(0.1 * 0.5**4)
    assert Backbone(pretrained).build(LAYOUT, 2).rate_scales() == {}
    assert Backbone(pretrained, tune="lora", rate=0.3).build(LAYOUT, 2).rate_scales() == {"features": 0.3}


def test_many_rows_are_answered_as_few_are(pretrained):
    built = Backbone(pretrained).build(LAYOUT, 2).eval()
    x = torch.randn(1500, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(built(x)[1400:], built(x[1400:]), rtol=1e-4, atol=1e-5)


def test_the_head_sees_features_of_about_one_size(pretrained):
    built = Backbone(pretrained).build(LAYOUT, 2).eval()
    x = torch.randn(100, 3, 16, 16)
    built.initialise_from(x)
    scaled = built.head[0](built.encode(x))
    assert scaled.mean(0).abs().max() < 1e-4
    assert 0.5 < scaled.std(0).mean() <= 1.05
    few = Standardised(3)
    few.learn(torch.ones(1, 3))
    assert torch.equal(few.scale, torch.ones(3))


def test_gradients_reach_the_input_of_a_frozen_network(pretrained):
    built = Backbone(pretrained).build(LAYOUT, 2).eval()
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    built(x)[:, 0].sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_a_module_is_stored_by_name_only(pretrained):
    assert Backbone(pretrained).to_dict() == {"custom": "glia.nn.resnet.ResNetNetwork"}
    assert as_network(spec := Backbone(pretrained)) is spec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tune": "freeze"}, "did you mean 'frozen'"),
        ({"rate": 0}, "rate=0"),
        ({"rate_decay": 1.5}, r"rate_decay=1\.5"),
        ({"rank": 0}, "rank=0"),
        ({"layer": "layer9"}, "did you mean 'layer"),
        ({"dropout": 1.0}, "dropout="),
        ({"hidden": (0,)}, "hidden="),
    ],
)
def test_wrong_settings_are_named(pretrained, settings, message):
    with pytest.raises(InputError, match=message):
        Backbone(pretrained, **settings).build(LAYOUT, 2)


def test_wrong_sources_are_named(tmp_path, pretrained):
    for source, message in [
        (tmp_path / "nothing", "no folder"),
        (tmp_path, r"without config\.json"),
        (3, "source=3"),
        (nn.Sequential(nn.Conv2d(3, 2, 3)), "layer="),
    ]:
        with pytest.raises(InputError, match=message):
            Backbone(source).build(LAYOUT, 2)
    with pytest.raises(InputError, match="rows of shape"):
        Backbone(pretrained).build(Layout((5, 16, 16)), 2)


def test_gradient_reversal_turns_the_sign_by_finite_differences():
    torch.manual_seed(0)
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    reverse_gradient(x.sin(), 0.7).square().sum().backward()
    h = 1e-6
    for i in range(5):
        step = torch.zeros(5, dtype=torch.float64)
        step[i] = h
        with torch.no_grad():
            slope = ((x + step).sin().square().sum() - (x - step).sin().square().sum()) / (2 * h)
        assert x.grad[i].item() == pytest.approx(-0.7 * slope.item(), rel=1e-6)


@pytest.mark.parametrize("key", ["num_hidden_layers", "n_layers", "depths"])
def test_a_configuration_from_a_file_cannot_ask_for_any_number_of_layers(key):
    value = [10**9, 2] if key == "depths" else 10**9
    with pytest.raises(ModelFileError, match="a backbone has at most 512 layers"):
        _check_repeats({"model_type": "bert", "text_config": {key: value}})
    _check_repeats({"num_hidden_layers": 48, "layer_norm_eps": 1e-12, "hidden_size": 4096, "depths": [3, 4, 6, 3]})
