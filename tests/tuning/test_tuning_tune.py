"""The search: it finds what was planted, halving is honest about the survivor, and rows that test are never seen."""

import math

import numpy as np
import polars as pl
import pytest
import torch

from glia.core.errors import InputError
from glia.core.seeds import derive
from glia.data import read
from glia.engine.loop import Trainer
from glia.engine.schedules import as_schedule
from glia.estimators.classifier import Classifier
from glia.estimators.regressor import Regressor
from glia.estimators.training import build_network
from glia.nn import MLP
from glia.tuning.configured import configured
from glia.tuning.family import _Judge
from glia.tuning.halving import Halving, best_of
from glia.tuning.prepared import prepare
from glia.tuning.tune import tune
from glia.tuning.validation import draw_folds

pytest.importorskip("optuna", reason="tuning needs the extra glia-nn[tune]")

PLAN = Halving(bracket=6, eta=3, rungs=2, siblings=3)
SPACE = {
    "lr": {"low": 1e-5, "high": 0.3, "log": True},
    "weight_decay": {"low": 1e-4, "high": 10.0, "log": True},
    "hidden": [[8], [16, 16]],
}


def rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=n) > 0).astype(int)


@pytest.fixture(scope="module")
def found():
    x, y = rows()
    return tune(Classifier(epochs=9, batch_size=32), x, y, space=SPACE, trials=12, halving=PLAN, random_state=3)


def test_rungs_and_survivors():
    assert Halving(18, 3, 3).epochs(27) == (3, 9, 27) and Halving(18, 3, 3).epochs(2) == (1, 1, 2)
    assert [Halving(18, 3, 3).kept(n) for n in (18, 6, 2, 1)] == [6, 2, 1, 1]
    assert best_of([0.3, math.nan, 0.1, math.inf, 0.1], 2) == [2, 4]
    with pytest.raises(InputError, match="eta"):
        Halving(eta=1)


def test_every_configuration_has_its_rung(found):
    first, whole = found.epochs
    assert (first, whole) == (3, 9) and len(found.trials) == 12
    for start in (0, 6):
        bracket = found.trials[start : start + 6]
        ranked = sorted(bracket, key=lambda t: math.inf if t.first is None else t.first)
        assert {t.slot for t in bracket if t.epochs == whole} == {t.slot for t in ranked[:2]}  # the best third goes on
        assert all(t.state == ("complete" if t.epochs == whole else "stopped") for t in bracket)
        for leader in (0, 3):
            assert len({t.settings["hidden"] for t in bracket[leader : leader + 3]}) == 1
    assert found.best_score == min(t.score for t in found.trials if t.score is not None)


def test_the_survivor_has_what_a_training_of_all_epochs_gives(found):
    """The plain loop, alone and without rungs, from the same weights: the same best loss, after as many epochs."""
    best = found.trials[found.best]
    x, y = rows()
    train, held = draw_folds(len(y), y, seed=derive(3, "validation"))[0]
    estimator = configured(Classifier(epochs=9, batch_size=32), best.settings)
    ready = prepare(estimator, (x[train], y[train], None), (x[held], y[held], None))
    choices, known = ready.choices(estimator), ready.estimator
    seed = derive(3, "configuration", best.slot)

    def trained(schedule):
        network = build_network(choices.network, known.layout_, 1, seed, ready.x)
        trainer = Trainer(
            network, known._resolved.loss, choices.optimizer.make(network, choices.lr), epochs=9, batch_size=32,
            schedule=as_schedule(schedule), clip=choices.optimizer.clip(), random_state=derive(3, "rows"),
        )  # fmt: skip
        return min(entry["valid/loss"] for entry in trainer.fit(ready.train, ready.held))

    assert trained("cosine") == pytest.approx(best.score, rel=1e-3)
    assert trained("constant") != pytest.approx(best.score, rel=1e-3)


def test_the_same_seed_gives_the_same_search(found):
    x, y = rows()
    again = tune(Classifier(epochs=9, batch_size=32), x, y, space=SPACE, trials=12, halving=PLAN, random_state=3)
    strip = [(t.slot, t.settings, t.score, t.first, t.epochs, t.state) for t in found.trials]
    assert strip == [(t.slot, t.settings, t.score, t.first, t.epochs, t.state) for t in again.trials]
    assert found.importance == again.importance


def test_a_planted_optimum_is_found():
    """One learning rate in four trains at all; the search must end there, and better than half of random trials."""
    x, y = rows(400)
    space = {"lr": [1e-9, 3e-8, 1e-2, 1e-7], "weight_decay": {"low": 1e-3, "high": 30.0, "log": True}}
    estimator = Classifier(network=MLP((32,)), epochs=12, batch_size=32)
    plan = Halving(bracket=8, eta=2, rungs=2, siblings=8)
    result = tune(estimator, x, y, space=space, trials=16, halving=plan)
    random = tune(estimator, x, y, space=space, trials=16, sampler="random", halving=False, random_state=1)
    assert result.best_settings["lr"] == 1e-2 and next(iter(result.importance)) == "lr"
    scored = tune(estimator, x, y, space={name: [value] for name, value in result.best_settings.items()}, trials=1,
                  halving=False, random_state=1)  # fmt: skip
    assert scored.best_score < np.median([t.score for t in random.trials])
    assert "better" not in result.summary() and "16 trials" in result.summary()


def test_settings_that_break_a_training_lose_and_harm_no_other():
    x, y = rows(200)
    result = tune(
        Classifier(network=MLP((8,)), epochs=4, batch_size=32, optimizer="sgd"), x, y,
        space={"lr": [1e30, 0.1]}, trials=6, halving=Halving(6, 3, 2, 6), sampler="random",
    )  # fmt: skip
    by_rate = {rate: [t for t in result.trials if t.settings["lr"] == rate] for rate in (1e30, 0.1)}
    assert by_rate[1e30] and all(t.score is None and t.state == "stopped" for t in by_rate[1e30])
    assert all(t.score < 1 for t in by_rate[0.1]) and result.best_settings == {"lr": 0.1}


def test_folds_judge_by_every_row_once_and_scores_are_their_mean():
    x, y = rows(90)
    drawn = draw_folds(90, y, folds=3)
    assert sorted(np.concatenate([held for _, held in drawn])) == list(range(90))

    def scores(folds):
        more = {"space": {"lr": [1e-2, 1e-3]}, "trials": 2, "halving": Halving(2, 2, 1, 2), "folds": folds}
        return np.array([t.score for t in tune(Classifier(epochs=3, batch_size=16), x, y, **more).trials])

    assert np.allclose(scores(drawn), np.mean([scores([pair]) for pair in drawn], axis=0))
    assert len(scores(3)) == 2
    groups = np.repeat(np.arange(9), 10)
    for train, held in draw_folds(90, None, folds=3, groups=groups):
        assert not set(groups[train]) & set(groups[held])


def test_regression_and_frames_and_weights():
    x, _ = rows(200)
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": np.where(x[:, 2] > 0, "u", "v")})
    y = 10 * x[:, 0] + 3 * (x[:, 2] > 0)
    weight = (np.arange(200) % 2).astype(float)  # odd rows alone count
    poisoned = np.where(weight > 0, y, 1e3)
    space = {"lr": {"low": 1e-3, "high": 3e-2, "log": True}, "dropout": {"low": 0.0, "high": 0.3}}
    more = {"space": space, "trials": 4, "halving": Halving(4, 2, 2, 4), "sample_weight": weight}
    one = tune(Regressor(network=MLP((16,)), epochs=20, batch_size=16), frame, y, **more)
    other = tune(Regressor(network=MLP((16,)), epochs=20, batch_size=16), frame, poisoned, **more)
    assert one.best_score < 0.5
    assert [t.score for t in one.trials] == [t.score for t in other.trials]


def test_a_time_that_is_up_ends_the_search_and_keeps_what_is_known():
    x, y = rows()
    result = tune(Classifier(epochs=60), x, y, space=SPACE, trials=500, time_budget=0.7, halving=PLAN)
    assert result.stopped == "time is up" and result.best is not None
    assert 0 < len(result.done()) < 500 and result.seconds < 20
    assert "time is up" in result.summary()


def test_ctrl_c_keeps_the_trials_and_the_search_goes_on_as_if_nothing_had_been(tmp_path):
    x, y = rows()
    more = {"space": SPACE, "trials": 12, "halving": PLAN, "random_state": 3}
    calls = []

    def press(progress):
        calls.append(progress)
        if len(calls) == 7:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="trials so far are kept"):
        cut = tune(Classifier(epochs=9, batch_size=32), x, y, study=tmp_path / "s.db", tell=press, **more)
    assert cut.stopped == "interrupted" and len(cut.done()) < 12
    whole = tune(Classifier(epochs=9, batch_size=32), x, y, study=tmp_path / "s.db", **more)
    plain = tune(Classifier(epochs=9, batch_size=32), x, y, **more)
    assert [(t.settings, t.score) for t in whole.trials] == [(t.settings, t.score) for t in plain.trials]
    assert whole.best == plain.best


def test_ctrl_c_in_the_middle_of_a_training_is_not_swallowed(monkeypatch):
    x, y = rows()
    own, calls = _Judge.on_epoch_end, []

    def press(self, trainer, entry):
        calls.append(trainer)
        if len(calls) == 4:
            raise KeyboardInterrupt
        own(self, trainer, entry)

    monkeypatch.setattr(_Judge, "on_epoch_end", press)
    with pytest.warns(UserWarning, match="trials so far are kept"):
        cut = tune(Classifier(epochs=9, batch_size=32), x, y, space=SPACE, trials=12, halving=PLAN, random_state=3)
    assert cut.stopped == "interrupted" and len(calls) == 4 and {t.state for t in cut.trials} == {"waiting"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trials": 0}, "trials must be"),
        ({"space": {"lrr": [1]}}, "did you mean 'lr'"),
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"time_budget": "5 epochs"}, "must be a time"),
        ({"time_budget": -1}, "above 0"),
        ({"halving": "yes"}, "halving must be"),
        ({"halving": True, "scoring": "accuracy"}, "needs whole fits"),
        ({"halving": True, "space": {"loss": ["focal", "auto"]}}, "changes what the loss means"),
        ({"scoring": "acuracy"}, "score of scikit-learn's"),
        ({"folds": 1}, "folds must be"),
        ({"folds": [([0, 1], [1, 2])]}, "must not be trained on"),
        ({"validation_fraction": 1.5}, "in \\(0, 1\\)"),
        ({"y": [0, 1]}, "a target for every row"),
        ({"estimator": "clasification"}, "a task must be a known one"),
        ({"estimator": Classifier}, "a task or an estimator"),
    ],
)
def test_mistakes_are_named_before_any_work(change, said, tmp_path):
    x, y = rows(60)
    given = {"estimator": Classifier(epochs=2), "X": x, "y": y, "study": tmp_path / "s.db", **change}
    with pytest.raises(InputError, match=said):
        tune(given.pop("estimator"), given.pop("X"), given.pop("y"), **given)
    assert not list(tmp_path.iterdir())


def test_other_rows_are_another_study(tmp_path):
    x, y = rows(60)
    more = {"space": {"lr": [0.1, 0.01]}, "trials": 2, "study": tmp_path / "s.db", "halving": False}
    tune(Classifier(epochs=1), x, y, **more)
    with pytest.raises(InputError, match="another rows"):
        tune(Classifier(epochs=1), x + 1, y, **more)


def test_names_reach_the_parts_they_belong_to():
    made = configured(
        Classifier(),
        {"lr": 0.1, "hidden": (8,), "dropout": 0.2, "weight_decay": 0.3, "l1": 0.4, "scale": "standard",
         "numeric_embedding": "piecewise_linear"},
    )  # fmt: skip
    assert (made.lr, made.network.hidden, made.network.dropout) == (0.1, (8,), 0.2)
    assert (made.optimizer.weight_decay, made.optimizer.feature_rate, made.objective.l1) == (0.3, 3.0, 0.4)
    assert (made.preparation.scale, made.preparation.numeric_bins) == ("standard", 32)
    with pytest.raises(InputError, match="sizes can be searched"):
        configured(Classifier(network=torch.nn.Linear(4, 1)), {"hidden": (8,)})


def test_tables_are_tuned_by_task(tmp_path):
    x, y = rows(120)
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    table = read(frame, target="y")
    result = tune("binary", table, y, space={"lr": [1e-2, 1e-3], "epochs": [3]}, trials=2)
    assert result.halving and result.trials[0].settings["epochs"] == 3 and "cross entropy" in result.metric
    assert result.to_dict()["best_settings"] == result.best_settings
    for name in result.figures():
        assert result.plot(name).get_title(loc="left")
