"""Original columns of tables, populations, tokens; and that nothing of a model is changed."""

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.explain.checks import check
from glia.explain.deeplift import deeplift
from glia.explain.entry import opened
from glia.explain.grad_cam import grad_cam
from glia.explain.guided_backprop import guided_backprop
from glia.explain.input_x_gradient import input_x_gradient
from glia.explain.integrated_gradients import integrated_gradients
from glia.explain.lrp import lrp
from glia.explain.saliency import saliency
from glia.explain.smoothgrad import smoothgrad
from glia.nn.embeddings import TabularInput
from glia.nn.missing_inputs import AsTheyAre
from glia.nn.mlp import MLP
from glia.nn.parts import Part

ALL = (saliency, smoothgrad, input_x_gradient, integrated_gradients, deeplift, lrp)
SHARES = (integrated_gradients, deeplift)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    many, few = [f"k{i}" for i in range(20)], ["x", "y", "z"]
    rows = pl.DataFrame(
        {
            "number": rng.normal(size=1200),
            "noise": rng.normal(size=1200),
            "code": rng.choice(many, 1200),
            "code noise": rng.choice(many, 1200),
            "hot": rng.choice(few, 1200),
        }
    )
    effect = {name: (i % 5) - 2.0 for i, name in enumerate(many)}
    score = (
        2 * rows["number"].to_numpy()
        + np.array([effect[v] for v in rows["code"]])
        + 2.0 * (rows["hot"] == "x").to_numpy()
    )
    return rows, (score + 0.3 * rng.normal(size=1200) > 0.5).astype(int), score


@pytest.fixture(scope="module")
def classifier(frame):
    return glia.Classifier(random_state=0, epochs=6, members=2).fit(*frame[:2])


def test_the_default_classifier_is_explained_by_original_columns(classifier, frame):
    rows = frame[0][:25]
    layout = classifier.layout_
    assert layout.indices("code") and type(classifier.network_).__name__ == "MeanNetwork"
    assert any(isinstance(m, TabularInput) and m.numeric is not None for m in classifier.network_.modules())
    with torch.no_grad():
        outputs = classifier.forward(classifier.prepare(rows))[:, 0].numpy()
    for method in ALL:
        result = method(classifier, rows)
        assert result.values.shape == (25, 5) and result.feature_names == tuple(rows.columns)
        np.testing.assert_allclose(result.outputs, outputs, atol=2e-5)
        sizes = dict(zip(result.feature_names, result.importance(), strict=True))
        planted = {"number", "code", "hot"}
        if method in SHARES:
            assert min(sizes[name] for name in planted) > 2 * max(sizes["noise"], sizes["code noise"]), sizes
            assert abs(result.residual).max() < 1e-5
        assert sizes["code"] > 2 * sizes["code noise"] and result.data.shape == (25, 5)


def test_values_of_a_category_are_those_of_its_vector(classifier, frame):
    """Swapping a row's category in an additive direction: rows with one category share its vector's part."""
    rows = frame[0][:40]
    values = deeplift(classifier, rows).values[:, 2]
    good = rows["code"].is_in([f"k{i}" for i in range(20) if i % 5 == 4]).to_numpy()
    bad = rows["code"].is_in([f"k{i}" for i in range(20) if i % 5 == 0]).to_numpy()
    assert values[good].min() > values[bad].max()


def test_a_regressor_is_explained_in_the_units_of_its_target(frame):
    rows, _, score = frame
    model = glia.Regressor(MLP((16,)), random_state=0, epochs=6, members=1).fit(rows, 100 * score + 7)
    for method in SHARES:
        result = method(model, rows[:10])
        np.testing.assert_allclose(result.outputs, model.predict(rows[:10]), atol=1e-3)
        assert result.unit == "target" and abs(result.residual).max() < 1e-3
        np.testing.assert_allclose(result.base + result.values.sum(1), result.outputs, atol=1e-3)


def linear_table():
    """A linear network over a code, pieces of a number, a hot pair and a number: its shares are known."""
    layout = Layout(
        (5,),
        (
            Feature("c", "c", "code", cardinality=4),
            Feature("n", "n", "numeric", bins=(-1.0, 0.0, 1.0)),
            Feature("h=a", "h", "onehot"),
            Feature("h=b", "h", "onehot"),
            Feature("m", "m", "numeric", bins=(0.0, 2.0, 3.0, 4.0)),
        ),
    )
    torch.manual_seed(0)
    net = MLP((), numeric_embedding="piecewise_linear").build(layout, 1)
    predictor = glia.wrap(net, feature_names=["c", "n", "h=a", "h=b", "m"])
    predictor._layout = layout
    return net, layout


class Table:
    """A predictor with a layout of its own."""

    task_ = "regression"

    def __init__(self, network, layout):
        self.network_, self.layout_ = network, layout
        self.feature_names = tuple(layout.groups())

    def prepare(self, X):
        return torch.as_tensor(np.asarray(X), dtype=torch.float32)

    def forward(self, batch):
        return self.network_(batch)

    def predict(self, X):
        return self.forward(self.prepare(X)).detach().numpy()[:, 0]


def test_a_linear_network_over_embeddings_has_closed_forms():
    net, layout = linear_table()
    X = np.array([[2, 0.25, 1, 0, 2.5], [0, -0.5, 0, 1, 1.0]], dtype=np.float32)
    weight = net.output.weight[0].detach()
    with torch.no_grad():
        inner = net.input(torch.tensor(X))  # hot pair, pieces of n (2) and of m (3), then the code's vector
        parts = (inner * weight).numpy()
        start = (net.input(torch.zeros(1, 5)) * weight).numpy()[0]
    ends = {"h": slice(0, 2), "n": slice(2, 4), "m": slice(4, 7), "c": slice(7, None)}
    assert parts.shape[1] > 7
    share = np.stack([parts[:, ends[name]].sum(1) for name in ("c", "n", "h", "m")], axis=1)
    moved = share - np.array([0.0 if name == "c" else start[ends[name]].sum() for name in ("c", "n", "h", "m")])
    table = Table(net, layout)
    for method in (input_x_gradient, lrp):
        np.testing.assert_allclose(method(table, X).values, share, atol=1e-5, err_msg=method.__name__)
    for method in SHARES:
        result = method(table, X)
        np.testing.assert_allclose(result.values, moved, atol=1e-5, err_msg=method.__name__)
        np.testing.assert_allclose(result.base, float(net.output.bias.detach()) + start[:7].sum(), atol=1e-5)
    slope = saliency(table, X).values
    np.testing.assert_allclose(slope[:, 0], np.linalg.norm(weight[7:]), rtol=1e-5)
    np.testing.assert_allclose(slope[:, 2], np.linalg.norm(weight[:2]), rtol=1e-5)
    np.testing.assert_allclose(slope[0, 1], abs(weight[3].item()), rtol=1e-5)  # 0.25 lies in the second piece, width 1
    with pytest.raises(InputError, match="sign for numbers only"):
        saliency(table, X, absolute=False)


@pytest.mark.parametrize("numeric", ["none", "piecewise_linear", Part("periodic", dim=3)])
def test_shares_add_up_over_every_embedding(numeric):
    _, layout = linear_table()
    net = MLP((8,), activation="silu", numeric_embedding=numeric, norm="layer", residual=True, init="xavier_uniform")
    table = Table(net.build(layout, 1), layout)
    X = np.array([[2, 0.25, 1, 0, 2.5], [0, -0.5, 0, 1, 1.0], [3, 1.5, 0, 0, 9.0]], dtype=np.float32)
    for method in SHARES:
        for options in ({}, {"baseline": "mean", "background": X}, {"baseline": "rows", "background": X}):
            assert abs(method(table, X, **options).residual).max() < 1e-5
    assert abs(lrp(table, X).checks["lost"]) < 1e-5


def test_missing_numbers_have_a_share_as_missing():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 3))
    y = (numbers[:, 0] + numbers[:, 1] > 0).astype(int)
    numbers[rng.random((300, 3)) < 0.3] = np.nan
    rows = pl.DataFrame(numbers, schema=["a", "b", "c"])
    model = glia.Classifier(
        AsTheyAre(MLP((8,))), preparation=glia.Preparation(impute="native"), random_state=0, epochs=4, members=1
    ).fit(rows, y)  # indicators say what is missing
    layout = Layout((3,), tuple(Feature(n, n, "numeric", bins=(-1.0, 0.0, 1.0)) for n in "abc"))
    torch.manual_seed(0)
    bare = Table(AsTheyAre(MLP((8,), numeric_embedding="piecewise_linear")).build(layout, 1), layout)  # NaN itself does
    with torch.no_grad():
        bare.network_.input.value.copy_(torch.tensor([1.0, -2.0, 0.5]))
    for predictor, X in ((model, rows[:30]), (bare, numbers[:30])):
        for method in ALL:
            assert np.isfinite(method(predictor, X).values).all()
        for method in SHARES:
            for options in ({}, {"baseline": "rows", "background": X[20:]}, {"baseline": "mean", "background": X}):
                result = method(predictor, X, **options)
                assert abs(result.residual).max() < 1e-5 and result.warnings == ()
            assert result.values[np.isnan(numbers[:30])].any()
        assert np.isfinite(list(check(predictor, X[:10], "deeplift").checks.values())).all()


class Tokens(nn.Module):
    """Tokens and their positions embedded, one attention layer; a start token stands before every row."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(12, 8), nn.Embedding(7, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        x = torch.cat([torch.zeros_like(x[:, :1]), x], dim=1).long()
        return self.out(self.encoder(self.words(x) + self.places(torch.arange(x.shape[1])))[:, 0])


@pytest.mark.parametrize("kind", [torch.int64, torch.float32])
def test_tokens_are_explained_at_their_vectors(kind):
    torch.manual_seed(0)
    X = torch.randint(1, 12, (4, 6)).to(kind)
    net = Tokens()
    for method in ALL:
        assert method(glia.wrap(net), X).values.shape == (4, 6, 2)
    with opened(glia.wrap(net), X) as entry:
        point = entry.at(entry.subject.x)
        assert entry.taps.taps[0].owners[:, 0].tolist() == [-1, 0, 1, 2, 3, 4, 5]
        _, slopes = entry.slopes(point)
    vectors = point.parts[0]
    expected = (vectors * slopes[1][1]).sum(-1)[:, 1:]
    np.testing.assert_allclose(input_x_gradient(glia.wrap(net), X, output=1).values, expected, atol=1e-6)
    start = integrated_gradients(glia.wrap(net), X)
    owner_less = start.outputs - start.base - start.values.sum(1)
    np.testing.assert_allclose(start.residual, owner_less)  # the start token's share belongs to no column


def test_an_embedding_of_computed_codes_is_refused():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(100, 2)

        def forward(self, x):
            return self.table((x[:, 0] * x[:, 1]).long().clamp(0, 99))

    with pytest.raises(InputError, match="which columns an embedding takes"):
        saliency(glia.wrap(Crossed()), torch.ones(2, 2))


class Failing(nn.Module):
    """Fails on the run after the first few, from within."""

    def __init__(self, runs):
        super().__init__()
        self.runs, self.conv, self.drop = runs, nn.Conv1d(1, 2, 2), nn.Dropout(0.5)

    def forward(self, x):
        self.runs -= 1
        if self.runs < 0:
            raise RuntimeError("broken")
        return self.drop(torch.relu(self.conv(x))).flatten(1)


@pytest.mark.parametrize("method", [*ALL, guided_backprop, grad_cam], ids=lambda m: m.__name__)
def test_nothing_of_a_model_is_changed(method):
    def state(net):
        return (
            [m.training for m in net.modules()],
            [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in net.modules()],
            {name: value.clone() for name, value in net.state_dict().items()},
            [(p.requires_grad, p.grad is None) for p in net.parameters()],
            torch.is_grad_enabled(),
        )

    def same(a, b):
        return a[:2] == b[:2] and a[3:] == b[3:] and all(a[2][k].equal(b[2][k]) for k in a[2])

    X = torch.randn(3, 1, 5)
    net = nn.Sequential(nn.Conv1d(1, 3, 2), nn.BatchNorm1d(3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten())
    net[1].eval()  # modes that differ from module to module
    next(net.parameters()).requires_grad_(False)
    before, kept = state(net), X.clone()
    first = method(glia.wrap(net), X).values
    with torch.no_grad():
        second = method(glia.wrap(net), X).values
    with torch.inference_mode():
        third = method(glia.wrap(net), X).values
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    assert same(before, state(net)) and X.equal(kept)
    for runs in (1, 2, 3):
        failing = Failing(runs)
        before = state(failing)
        try:
            method(glia.wrap(failing), X)
        except RuntimeError as error:
            assert str(error) == "broken"
        assert same(before, state(failing))


def test_memory_is_bounded_by_the_batch():
    seen = []

    class Watch(nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return torch.tanh(x).sum(1, keepdim=True)

    X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for method in (*ALL,):
        seen.clear()
        method(glia.wrap(Watch()), X, batch_rows=8)
        assert max(seen) <= 8 and len(seen) >= 3, method.__name__
    seen.clear()
    integrated_gradients(glia.wrap(Watch()), X[:4], baseline="rows", background=X, batch_rows=16)
    assert max(seen) <= 20  # the background is run once to be recorded; paths go by 16
