"""Rare classes in a classifier: judging rows stay as they are, probabilities stay true, decisions are the best ones."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, train_test_split

import glia
from glia.core.errors import InputError
from glia.data.balance import Balance, balance_rows, balancers
from glia.data.stream import Stream
from glia.engine.balanced import BalancedRows
from glia.estimators import base
from glia.estimators.settings import FitSettings
from glia.estimators.table_fit import fit_table
from glia.objectives import ExpectedCost, Hinge, shift_prior

SHARE = 0.08
METHODS = ("batches", *balancers.names())
QUICK = {"network": "linear", "epochs": 4, "lr": 0.05, "random_state": 0}


def needs(method):
    if method not in ("none", "batches", "oversample", "undersample"):
        pytest.importorskip("imblearn", reason="the extra 'imbalance' brings it")


def gaussians(n, seed=0, share=SHARE):
    """Two classes around 0 and 1 in two dimensions: the true log odds are x1 + x2 − 1 + log(share / (1 − share))."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 2)) + y[:, None], y


def posterior(X, share=SHARE):
    odds = np.exp(X.sum(1) - 1) * share / (1 - share)
    return odds / (1 + odds)


@pytest.fixture(scope="module")
def data():
    return gaussians(3000), gaussians(8000, seed=1)


@pytest.fixture
def seen(monkeypatch):
    """Keep what the training is handed: (training rows, validation rows)."""
    kept, real = [], base.train_network

    def spy(network, objective, choices, train, valid, **options):
        kept.append((train, valid))
        return real(network, objective, choices, train, valid, **options)

    monkeypatch.setattr(base, "train_network", spy)
    return kept


def numbered(n=400):
    """Rows whose last column is their number, which float32 holds exactly."""
    X, y = gaussians(n, share=0.15)
    return np.column_stack([X, np.arange(n)]), y


def ids(rows):
    return rows.x[:, 2].numpy()


def leaks(train_ids, valid_ids):
    return len(np.intersect1d(train_ids, valid_ids))


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_judge_are_never_touched(seen, method):
    needs(method)
    X, y = numbered()
    model = glia.Classifier(preparation="none", epochs=1, network="linear")
    clone(model).fit(X, y)
    clone(model).set_params(balance=method).fit(X, y)
    (plain, held), (train, same) = seen
    np.testing.assert_array_equal(ids(held), ids(same))  # the very rows, in their order, each once
    np.testing.assert_array_equal(held.y, same.y)
    assert len(np.unique(ids(same))) == len(same) == 60 and same.y.mean() == pytest.approx(y.mean(), abs=0.01)
    assert leaks(ids(train), ids(same)) == 0
    even = train.y.mean() if method != "batches" else next(train.epoch(32, 0, 0))[1].mean()
    assert even > plain.y.mean()
    # Synthetic rows know nothing of them either: with other rows to judge by, training rows are the same bits.
    split = train_test_split(np.arange(400), test_size=60, random_state=3, stratify=y)
    for judges in (split[1], split[1][::2]):
        clone(model).set_params(balance=method).fit(X[split[0]], y[split[0]], validation=(X[judges], y[judges]))
    np.testing.assert_array_equal(seen[-1][0].x, seen[-2][0].x)
    assert len(seen[-2][1]) == 60 and len(seen[-1][1]) == 30


def test_resampling_before_the_split_is_caught():
    """The control: oversample first, hold out then, and rows that judge are among those that were learned."""
    X, y = numbered()
    found = balance_rows(X, y, None, "oversample")
    train, held = train_test_split(np.arange(len(found.y)), test_size=0.15, random_state=0)
    assert leaks(found.x[train, 2], found.x[held, 2]) > 20
    assert found.y[held].mean() > 0.4  # and their shares are not those of the data


@pytest.mark.parametrize("method", ["oversample", "smote"])
def test_a_table_is_split_before_it_is_balanced(tmp_path, seen, method):
    needs(method)
    X, y = numbered()
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "number": X[:, 2], "y": y}).write_csv(tmp_path / "t.csv")
    settings = FitSettings(
        data=str(tmp_path / "t.csv"),
        target="y",
        roles={"number": "numeric"},
        epochs=1,
        balance=method,
        hidden=[4],
        members=1,
    )
    found = fit_table(settings)
    train, valid = seen[0]
    real = {"train": found.split.train, "valid": found.split.valid, "test": found.split.test}
    rows = {name: found.estimator.prepare(found.table.take(index)).numpy() for name, index in real.items()}
    np.testing.assert_array_equal(valid.x.numpy(), rows["valid"])
    np.testing.assert_array_equal(train.x[: len(rows["train"])].numpy(), rows["train"])  # then come the added ones
    column = [f.name for f in found.estimator.layout_.features].index("number")
    if method == "oversample":
        assert set(train.x[:, column].tolist()) <= set(rows["train"][:, column].tolist())
    for name in ("valid", "test"):
        assert leaks(train.x[:, column].numpy(), rows[name][:, column]) == 0
        assert found.y[real[name]].mean() == pytest.approx(y.mean(), abs=0.02)
    assert train.y.mean() == pytest.approx(0.5, abs=0.01)
    # The preparation was learned before: the same numbers as without balancing.
    assert (
        found.estimator.preparation_.to_state()[0]
        == fit_table(settings.replace(balance="none")).estimator.preparation_.to_state()[0]
    )


CORRECTED = [
    {"balance": "batches"}, {"balance": "oversample"}, {"balance": "undersample"}, {"balance": "smote"},
    {"balance": Balance("oversample", ratio=0.4)}, {"class_weight": "balanced"}, {"class_weight": {0: 1.0, 1: 7.0}},
    {"objective": "logit_adjusted"}, {"objective": "class_balanced"},
    {"balance": "batches", "members": 2, "network": glia.nn.MLP(hidden=(8,)), "lr": 0.01},
]  # fmt: skip


@pytest.mark.parametrize("settings", CORRECTED, ids=str)
def test_probabilities_stay_true(data, settings):
    needs(settings.get("balance", "none") if isinstance(settings.get("balance"), str) else "none")
    (X, y), (new, truth) = data
    model = glia.Classifier(**{**QUICK, **settings}).fit(X, y)
    found = model.predict_proba(new)[:, 1]
    assert np.abs(found - posterior(new)).mean() < 0.02
    assert found.mean() == pytest.approx(truth.mean(), abs=0.015)
    kept, model.factors_ = model.factors_, None  # the control: as the network was taught, they are far off
    wrong = model.predict_proba(new)
    assert wrong[:, 1].mean() > truth.mean() + 0.05
    if len(model.network_.state_dict()) < 4:  # one network: the correction is Elkan's formula
        model.factors_ = kept
        np.testing.assert_allclose(shift_prior(wrong, kept, [1, 1])[:, 1], found, rtol=1e-9)


@pytest.mark.parametrize("settings", CORRECTED[:4] + CORRECTED[5:6], ids=str)
def test_each_remedy_raises_recall_at_a_cost_in_precision(data, settings):
    needs(settings.get("balance", "none"))
    (X, y), (new, truth) = data
    plain = glia.Classifier(**QUICK).fit(X, y).predict(new)
    model = glia.Classifier(**QUICK, **settings).fit(X, y)
    found = model.predict(new)
    assert recall_score(truth, found) > recall_score(truth, plain) + 0.3
    assert precision_score(truth, found) < precision_score(truth, plain) - 0.1
    assert balanced_accuracy_score(truth, found) > balanced_accuracy_score(truth, plain) + 0.1
    # "auto" decides as training did: where the classes are even, from their share on.
    assert model.threshold_ == pytest.approx(y.mean(), abs=0.01) and "as common as they were in training" in (
        model.decision_.why
    )


@pytest.mark.parametrize(
    "rule", ["f1", "balanced", "mcc", {"recall_at_precision": 0.3}, {"precision_at_recall": 0.6}], ids=str
)
def test_a_rule_is_settled_on_the_validation_rows(data, rule):
    (X, y), (new, _) = data
    train, held = np.arange(2000), np.arange(2000, 3000)
    model = glia.Classifier(**QUICK, threshold=rule, balance="batches").fit(
        X[train], y[train], validation=(X[held], y[held])
    )
    score = model.predict_proba(X[held])[:, 1]
    best, truth = model.predict(X[held]), y[held]
    judge = {
        "f1": f1_score,
        "balanced": balanced_accuracy_score,
        "mcc": lambda t, d: np.corrcoef(t, d)[0, 1] if d.any() and not d.all() else 0.0,
    }
    for t in np.quantile(score, np.linspace(0.02, 0.999, 80)):
        other = (score >= t).astype(int)
        if isinstance(rule, str):
            assert judge[rule](truth, best) >= judge[rule](truth, other) - 1e-12
        elif "recall_at_precision" in rule:
            assert precision_score(truth, best) >= 0.3
            assert precision_score(truth, other) < 0.3 or recall_score(truth, other) <= recall_score(truth, best)
        else:
            assert recall_score(truth, best) >= 0.6
            assert recall_score(truth, other) < 0.6 or precision_score(truth, other) <= precision_score(truth, best)
    np.testing.assert_array_equal(model.predict(new), model.predict_proba(new)[:, 1] >= model.threshold_)
    assert "on 1,000 validation rows" in model.decision_.why


def test_costs_decide_by_expectation(data):
    (X, y), (new, truth) = data
    model = glia.Classifier(**QUICK, threshold={"cost": [[0, 1], [9, 0]]}).fit(X, y)
    assert model.threshold_ == 0.1
    np.testing.assert_array_equal(model.predict(new), model.predict_proba(new)[:, 1] > 0.1)
    cost = {t: np.where(truth == 1, 9.0 * (p := posterior(new) < t), ~p).mean() for t in (0.1, 0.5)}
    paid = np.where(truth == 1, 9.0 * (model.predict(new) == 0), model.predict(new) == 1).mean()
    assert cost[0.1] * 0.98 < paid < cost[0.1] * 1.05 < cost[0.5]  # as good as with the true probabilities
    frame = model.predict_frame(new[:50])
    np.testing.assert_array_equal(frame["prediction"].to_numpy(), model.predict(new[:50]))


def three(n=900, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.8, 0.15, 0.05])
    return rng.normal(size=(n, 2)) + 1.3 * np.stack([y == 1, y == 2], 1), np.array(["a", "b", "c"])[y]


@pytest.mark.parametrize(
    "settings", [{"balance": "oversample"}, {"class_weight": "balanced"}, {"threshold": "balanced"}]
)
def test_three_classes(settings):
    (X, y), (new, truth) = three(), three(3000, 1)
    plain = glia.Classifier(**QUICK).fit(X, y)
    model = glia.Classifier(**QUICK, **settings).fit(X, y)
    found = model.predict(new)
    assert balanced_accuracy_score(truth, found) > balanced_accuracy_score(truth, plain.predict(new)) + 0.05
    assert np.abs(model.predict_proba(new).mean(0) - [0.8, 0.15, 0.05]).max() < 0.05
    assert model.threshold_ is None
    if model.factors_:
        model.factors_ = None  # the control
        assert np.abs(model.predict_proba(new).mean(0) - [0.8, 0.15, 0.05]).max() > 0.15
    cheap = glia.Classifier(**QUICK, threshold={"cost": "0 1 1; 1 0 1; 30 30 0"}).fit(X, y)
    np.testing.assert_array_equal(
        cheap.predict(new),
        np.array(["a", "b", "c"])[(cheap.predict_proba(new) @ [[0, 1, 1], [1, 0, 1], [30, 30, 0]]).argmin(1)],
    )
    assert (cheap.predict(new) == "c").mean() > 3 * (plain.predict(new) == "c").mean()


def test_labels_have_a_threshold_each():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = (X + 0.5 * rng.normal(size=X.shape) > [0.0, 1.5]).astype(int)
    model = glia.Classifier(**QUICK, threshold="f1").fit(X, y)
    assert len(model.threshold_) == 2
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) >= model.threshold_)
    assert f1_score(y, model.predict(X), average="macro") > f1_score(
        y, glia.Classifier(**QUICK).fit(X, y).predict(X), average="macro"
    )


SAVED = [
    {"balance": "batches", "threshold": "f1"}, {"threshold": {"cost": ((0, 1), (5, 0))}}, {"threshold": 0.2},
    {"balance": Balance("undersample", ratio=0.5)}, {"class_weight": "balanced"}, {"objective": "logit_adjusted"},
    {"objective": ExpectedCost("0 1; 9 0")},
]  # fmt: skip


@pytest.mark.parametrize("settings", SAVED, ids=str)
def test_a_model_from_a_file_decides_alike(tmp_path, data, settings):
    (X, y), (new, _) = data
    model = glia.Classifier(**QUICK, **settings).fit(X, y)
    glia.save(model, tmp_path / "m.glia")
    again = glia.load(tmp_path / "m.glia")
    np.testing.assert_array_equal(model.predict_proba(new), again.predict_proba(new))
    np.testing.assert_array_equal(model.predict(new), again.predict(new))
    assert (again.decision_, again.factors_, again.threshold_) == (model.decision_, model.factors_, model.threshold_)
    assert repr(again.get_params()) == repr(model.get_params())
    same = clone(model).fit(X, y)
    np.testing.assert_array_equal(same.predict_proba(new), model.predict_proba(new))
    assert same.decision_ == model.decision_
    if "balance" not in settings:
        again.partial_fit(X[:50], y[:50])  # which keeps the decision that the file holds
        assert again.decision_ == model.decision_


def test_batches_are_drawn_evenly_and_what_was_done_is_told(data, seen):
    (X, y), _ = data
    model = glia.Classifier(**QUICK, balance="batches").fit(X, y)
    train, held = seen[0]
    assert isinstance(train, BalancedRows)
    assert model.balance_["method"] == "batches" and model.balance_["before"] == model.balance_["after"]
    # The loss of the validation rows weighs classes as training does: 11 : 1 here.
    weight = [held.weight[held.y == c].mean().item() for c in (0, 1)]
    assert weight[1] / weight[0] == pytest.approx((train.y == 0).sum().item() / (train.y == 1).sum().item(), rel=1e-5)
    done = glia.Classifier(**QUICK, balance="oversample").fit(X, y).balance_
    assert done["after"] == [done["before"][0]] * 2 and done["synthetic"] == 0


def test_weights_of_rows_and_small_data_go_with_balancing(data):
    needs("smote")
    (X, y), _ = data
    weight = np.random.default_rng(0).random(300) + 0.5
    glia.Classifier(**QUICK, balance="smote").fit(X[:300], y[:300], sample_weight=weight)
    small = glia.Classifier(**QUICK, balance="oversample").fit(X[:80], y[:80])
    assert small.factors_ is not None and small.temperature_ == 1.0


def test_the_ratio_is_a_setting_like_others(data):
    (X, y), _ = data
    search = GridSearchCV(
        glia.Classifier(**QUICK, balance=Balance("oversample")), {"balance__ratio": [0.3, 1.0]}, cv=2, scoring="f1"
    ).fit(X[:600], y[:600])
    assert search.best_params_["balance__ratio"] in (0.3, 1.0)
    first, second = search.cv_results_["mean_test_score"]
    assert first != second


def test_margins_are_left_alone(data):
    (X, y), _ = data
    model = glia.Classifier(**QUICK, objective=Hinge(), class_weight="balanced").fit(X, y)
    assert model.factors_ is None


def test_a_weight_of_zero_cannot_be_undone(data):
    (X, y), _ = data
    model = glia.Classifier(**QUICK, class_weight={0: 1.0, 1: 0.0}).fit(X, y)
    assert model.factors_ is None and (model.predict(X) == 0).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"balance": "smoke"}, "balance must be a known way"), ({"balance": 3}, "balance must be a known way"),
        ({"balance": "oversample", "class_weight": "balanced"}, "in one way"), ({"threshold": "f2"}, "threshold must"),
        ({"threshold": {"cost": "0 1 1; 1 0 1; 1 1 0"}}, "3 rows of costs for 2 classes"),
        ({"threshold": "f1", "early_stopping": False}, "chosen on validation rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_training(data, seen, settings, words):
    (X, y), _ = data
    with pytest.raises(InputError, match=words):
        glia.Classifier(**QUICK, **settings).fit(X, y)
    assert not seen


def test_other_things_that_cannot_be(tmp_path):
    X, y = three(300)
    with pytest.raises(InputError, match="a threshold divides two classes"):
        glia.Classifier(**QUICK, threshold="f1").fit(X, y)
    labels = np.random.default_rng(0).integers(0, 2, (300, 2))
    with pytest.raises(InputError, match="one class per row"):
        glia.Classifier(**QUICK, balance="oversample").fit(X, labels)
    with pytest.raises(InputError, match="costs need one class per row"):
        glia.Classifier(**QUICK, threshold={"cost": "0 1; 5 0"}).fit(X, labels)
    with pytest.raises(InputError, match="partial_fit takes rows as they come"):
        glia.Classifier(balance="batches").partial_fit(X, y)
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y}).write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="not resampled"):
        glia.Classifier(balance="smote").fit(Stream(tmp_path / "t.csv", target="y"))
    with pytest.raises(InputError, match="threshold is for classes"):
        glia.fit(pl.DataFrame({"a": X[:, 0], "y": X[:, 1]}), "y", threshold="f1")


def test_validation_rows_of_one_class_settle_nothing(data):
    (X, y), _ = data
    with pytest.warns(UserWarning, match="one class only"):
        model = glia.Classifier(**QUICK, threshold="f1").fit(X, y, validation=(X[y == 0][:60], y[y == 0][:60]))
    assert model.threshold_ == 0.5


def test_a_streams_class_weights_are_corrected_too(tmp_path, data):
    (X, y), (new, truth) = data
    pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y}).write_csv(tmp_path / "t.csv")
    stream = Stream(tmp_path / "t.csv", target="y")
    model = glia.Classifier(**QUICK, class_weight="balanced").fit(stream)
    frame = pl.DataFrame({"a": new[:, 0], "b": new[:, 1]})
    assert model.predict_proba(frame)[:, 1].mean() == pytest.approx(truth.mean(), abs=0.02)
    assert model.predict(frame).mean() > 2 * truth.mean()


def test_evaluation_says_where_accuracy_misleads(data):
    (X, y), (new, truth) = data
    found = glia.Classifier(**QUICK).fit(X, y).evaluate(new, truth, n_boot=20)
    assert "Accuracy misleads" in found.caution and found.caution in found.summary()
    assert found.to_dict()["caution"] == found.caution
    even, labels = gaussians(2000, share=0.5)
    assert glia.Classifier(**QUICK).fit(even, labels).evaluate(even, labels, n_boot=20).caution == ""
