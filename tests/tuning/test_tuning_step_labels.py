"""Settings of what labels every step are searched: whole sequences are divided, labelled steps judge."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, log_loss

import glia
from glia.cli.main import run
from glia.core.errors import InputError
from glia.data.series import SequencePreparation
from glia.engine.population_trainer import PopulationTrainer
from glia.report.tune_run import problem_of
from glia.tuning import tune as tuning
from glia.tuning.halving import Halving
from glia.tuning.settings import TuneSettings
from glia.tuning.space import Real
from glia.tuning.tune import Problem, fingerprint

pytest.importorskip("optuna", reason="tuning needs the extra glia-nn[tune]")

SPACE = {"lr": Real(1e-3, 5e-2, log=True)}
HELD = 12


def planted(count=48, seed=0, missing=0.3):
    """Sequences of 4 to 11 steps whose label is the sign of their first channel; in every third one few are known."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(int(n), 2)) for n in rng.integers(4, 12, count)]
    y = [np.where(x[:, 0] > 0, "up", "down").astype(object) for x in X]
    for row, part in enumerate(y):
        part[rng.random(len(part)) < (missing if row % 3 else 0.8)] = None
        part[-1] = "up" if X[row][-1, 0] > 0 else "down"
    return X, y


def labeler(**more):
    return glia.SequenceLabeler(**{"network": "gru", "epochs": 3, "batch_size": 16, **more})


def halves(count=48):
    """One fold: the last sequences judge."""
    return [(np.arange(count - HELD), np.arange(count - HELD, count))]


def by_hand(probability, labels, weight=None):
    """Mean log loss of the labelled steps of sequences; probability of "up", one array a sequence."""
    losses, weights = [], []
    for row, (p, y) in enumerate(zip(probability, labels, strict=True)):
        for step, label in enumerate(y):
            if isinstance(label, str):
                losses.append(-np.log(p[step] if label == "up" else 1 - p[step]))
                weights.append(1.0 if weight is None else weight[row])
    return float(np.average(losses, weights=weights))


def fitted(settings, X, y, fold, weight=None):
    """Fit as a trial does; the scores of the rows held out, with others' labels in place of those that are missing."""
    train, held = fold
    model = labeler(**settings).fit(
        [X[i] for i in train], [y[i] for i in train], None if weight is None else weight[train],
        validation=([X[i] for i in held], [y[i] for i in held]),
    )  # fmt: skip
    return [p[:, 1] for p in model.predict_proba([X[i] for i in held])]


@pytest.mark.parametrize("weighted", [False, True])
def test_one_by_one_the_score_is_the_mean_over_labelled_steps(weighted):
    X, y = planted()
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(X)) if weighted else None
    found = glia.tune(
        labeler(), X, y, space=SPACE, trials=2, folds=halves(), halving=False, sample_weight=weight, random_state=3
    )
    assert found.metric == "log loss of labelled steps" and found.n_valid == HELD and found.noun == "sequences"
    labelled = sum(label is not None for part in y[-HELD:] for label in part)
    assert found.validation == f"{labelled} labelled steps of {HELD} validation sequences"
    held = None if weight is None else weight[-HELD:]
    for trial in found.trials:
        probability = fitted(trial.settings, X, y, halves()[0], weight)
        assert trial.score == pytest.approx(by_hand(probability, y[-HELD:], held), rel=1e-5)
        apart = [by_hand([p], [part]) for p, part in zip(probability, y[-HELD:], strict=True)]
        assert abs(trial.score - np.average(apart, weights=held)) > 1e-4  # the mean over sequences is another one
    assert found.best_score == min(trial.score for trial in found.trials)


@pytest.mark.parametrize("weighted", [False, True])
def test_with_halving_it_is_the_least_of_the_epochs(weighted, monkeypatch):
    X, y = planted()
    weight = np.random.default_rng(1).uniform(0.2, 3.0, len(X)) if weighted else None
    held = None if weight is None else weight[-HELD:]
    seen, judge = [], PopulationTrainer.validate

    def spy(trainer, rows):
        output = trainer.predict(rows.x).double().numpy()  # (K, N, T): log odds of "up", the second class
        seen.append([by_hand(1 / (1 + np.exp(-one)), y[-HELD:], held) for one in output])
        return judge(trainer, rows)

    monkeypatch.setattr(PopulationTrainer, "validate", spy)
    found = glia.tune(
        labeler(), X, y, space=SPACE, trials=3, folds=halves(), halving=Halving(3, 2, rungs=1), sample_weight=weight
    )
    assert found.halving and found.metric == "validation loss (step cross entropy)"
    assert np.shape(seen) == (3, 3)  # epochs, configurations
    assert [t.score for t in found.trials] == pytest.approx(np.min(seen, axis=0).tolist(), rel=1e-5)
    again = glia.tune(labeler(), X, y, space=SPACE, trials=6, folds=halves(), halving=Halving(6, 3, 2))
    assert sorted(t.state for t in again.trials) == ["complete"] * 2 + ["stopped"] * 4


@pytest.mark.parametrize("halving", [False, Halving(2, 2, rungs=1)])
def test_three_classes(halving, monkeypatch):
    X, y = planted()
    y = [np.where((part == "up") & (x[:, 1] > 0.5), "top", part) for x, part in zip(X, y, strict=True)]
    places, seen, judge = {"down": 0, "top": 1, "up": 2}, [], PopulationTrainer.validate

    def loss(scores):  # (T, 3) of every sequence held out
        own = []
        for one, part in zip(scores, y[-HELD:], strict=True):
            found = one - np.log(np.exp(one).sum(1, keepdims=True))
            own += [-found[step, places[label]] for step, label in enumerate(part) if label is not None]
        return np.mean(own)

    def spy(trainer, rows):
        output = trainer.predict(rows.x).double().numpy()[0]
        seen.append(loss(output.reshape(HELD, -1, 3)))
        return judge(trainer, rows)

    monkeypatch.setattr(PopulationTrainer, "validate", spy)
    found = glia.tune(labeler(), X, y, space=SPACE, trials=1, folds=halves(), halving=halving)
    if not halving:
        model = labeler(**found.best_settings).fit(X[:-HELD], y[:-HELD], validation=(X[-HELD:], y[-HELD:]))
        seen = [loss([np.log(p) for p in model.predict_proba(X[-HELD:])])]
    assert found.best_score == pytest.approx(min(seen), rel=1e-5)


def test_of_very_many_sequences_on_disk_a_share_judges(monkeypatch):
    X, y = planted()
    chosen, seen, judge = np.array([1, 4, 5, 9]), [], PopulationTrainer.validate
    monkeypatch.setattr("glia.estimators.large_rows.few_judges", lambda rows, values, seed: chosen)

    def spy(trainer, rows):
        output = trainer.predict(rows.x).double().numpy()[0]
        seen.append(by_hand(1 / (1 + np.exp(-output)), [y[-HELD:][i] for i in chosen]))
        return judge(trainer, rows)

    monkeypatch.setattr(PopulationTrainer, "validate", spy)
    model = labeler(preparation=SequencePreparation(keep="disk"))
    found = glia.tune(model, X, y, space=SPACE, trials=1, folds=halves(), halving=Halving(2, 2, 1))
    assert found.best_score == pytest.approx(min(seen), rel=1e-5)


def test_padding_and_missing_labels_have_no_say():
    """As arrays: NaN after the end and at labels that are missing; labels after the end are anything."""
    X, y = planted()
    longest = max(map(len, X))
    cube, labels = np.full((len(X), longest, 2), np.nan), np.full((len(X), longest), np.nan)
    for row, (x, part) in enumerate(zip(X, y, strict=True)):
        cube[row, : len(x)] = x
        labels[row, : len(x)] = [np.nan if one is None else float(one == "up") for one in part]
    beyond = labels.copy()
    beyond[np.arange(longest) >= np.array([len(x) for x in X])[:, None]] = 1.0
    wrong = labels.copy()
    row, step = np.argwhere(~np.isnan(wrong[-HELD:]))[0]
    wrong[row - HELD, step] = 1 - wrong[row - HELD, step]
    for halving in (False, Halving(2, 2, 1)):
        kept: dict = {"space": SPACE, "trials": 2, "folds": halves(), "halving": halving}
        scores = [[t.score for t in glia.tune(labeler(), *rows, **kept).trials]
                  for rows in ((X, y), (cube, labels), (cube, beyond), (cube, wrong))]  # fmt: skip
        assert scores[0] == pytest.approx(scores[1], rel=1e-6) and scores[1] == scores[2]
        assert abs(scores[1][0] - scores[3][0]) > 1e-5  # of a network that has learned little yet


def test_folds_judge_in_turn(monkeypatch):
    X, y = planted()
    drawn, draw = [], tuning.draw_folds
    monkeypatch.setattr(tuning, "draw_folds", lambda *args, **more: drawn.append(draw(*args, **more)) or drawn[-1])
    found = glia.tune(labeler(), X, y, space=SPACE, trials=2, folds=3, halving=False)
    assert sorted(np.concatenate([held for _, held in drawn[0]])) == list(range(len(X)))
    assert found.validation == "3 folds of 48 sequences"
    for trial in found.trials:
        means = [by_hand(fitted(trial.settings, X, y, fold), [y[i] for i in fold[1]]) for fold in drawn[0]]
        assert trial.score == pytest.approx(np.mean(means), rel=1e-5)
    assert glia.tune(labeler(), X, y, trials=3, folds=3).halving  # also with the space of its own


def test_what_is_scored_can_be_said():
    X, y = planted()
    fold, handed = halves()[0], []

    def last(model, rows, labels):
        handed.append((rows, labels))
        right = [p[-1] == part[-1] for p, part in zip(model.predict(rows), labels, strict=True)]
        return float(np.mean(right))

    kept: dict = {"space": SPACE, "trials": 2, "folds": [fold]}
    own, named, default = (glia.tune(labeler(), X, y, **kept, scoring=s) for s in (last, "accuracy", None))
    assert not own.halving and not named.halving and default.halving
    assert [len(part) for part in handed[0][0]] == [len(part) for part in handed[0][1]]
    for one, other in zip(own.trials, named.trials, strict=True):
        probability = fitted(one.settings, X, y, fold)
        says = [np.where(p > 0.5, "up", "down") for p in probability]
        assert one.score == -np.mean([p[-1] == y[i][-1] for p, i in zip(says, fold[1], strict=True)])
        known = np.concatenate([y[i] for i in fold[1]]) != None  # noqa: E711  element by element
        truth = np.concatenate([y[i] for i in fold[1]])[known].tolist()
        assert other.score == pytest.approx(-accuracy_score(truth, np.concatenate(says)[known]))


@pytest.mark.parametrize("name", ["r2", "f1", "no such score"])
def test_a_score_that_steps_cannot_have_is_refused_before_a_fit(name, monkeypatch):
    monkeypatch.setattr(glia.SequenceLabeler, "fit", lambda *args, **more: pytest.fail("fitted"))
    with pytest.raises(InputError, match=f"scoring='{name}'"):
        glia.tune(labeler(), *planted(), space=SPACE, trials=2, scoring=name)


def test_same_seed_same_trials():
    X, y = planted()
    kept: dict = {"space": SPACE, "trials": 4}
    one, two, other = (
        [(t.settings, t.score) for t in glia.tune(labeler(), X, y, **kept, random_state=seed).trials]
        for seed in (7, 7, 8)
    )
    assert one == two != other


def test_an_estimator_that_tunes_itself():
    X, y = planted()
    tuned = glia.TunedEstimator(labeler(), space=SPACE, trials=2, halving=False).fit(X, y)
    alone = labeler(**tuned.best_params_).fit(X, y)
    assert all(np.array_equal(*pair) for pair in zip(tuned.predict_proba(X), alone.predict_proba(X), strict=True))
    assert tuned.classes_.tolist() == ["down", "up"] and not hasattr(tuned, "score")
    by_name = tuned.set_params(scoring="accuracy").score(X, y)
    known = [(p, one) for part, own in zip(alone.predict(X), y, strict=True)
             for p, one in zip(part, own, strict=True) if one is not None]  # fmt: skip
    assert by_name == pytest.approx(np.mean([p == one for p, one in known]))
    numbers = [np.array([np.nan if one is None else float(one == "up") for one in own]) for own in y]  # NaN: not known
    other = glia.TunedEstimator(labeler(), space=SPACE, trials=1, scoring="accuracy").fit(X, numbers)
    right = [p == one for part, own in zip(other.predict(X), numbers, strict=True)
             for p, one in zip(part, own, strict=True) if one == one]  # fmt: skip
    assert other.score(X, numbers) == pytest.approx(np.mean(right))


def test_studies_tell_labels_apart():
    """NumPy writes arrays of more than 1,000 values, that stand in a list, with dots in their middle."""
    X = [np.zeros((2000, 1))] * 3
    y = np.empty(3, dtype=object)
    for row in range(3):
        y[row] = np.zeros(2000, dtype=int)
    other = y.copy()
    other[1] = np.where(np.arange(2000) == 1000, 1, 0)
    prints = [fingerprint(Problem(labeler, (), X, labels, None, halves(13))) for labels in (y, y.copy(), other)]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X, y: (X, [None, *y[1:]]), "every step must have a label"),
        (lambda X, y: (X, y[:-1]), "labels for every sequence"),
        (lambda X, y: (X, [part[:-1] for part in y]), "every step must have a label"),
        (lambda X, y: (X, [np.full(len(part), None) for part in y]), "some step must have a label"),
        (lambda X, y: (X, y[:-HELD] + [np.full(len(part), None) for part in y[-HELD:]]), "that judge must have labels"),
        (lambda X, y: (X, [np.full(len(part), "up") for part in y]), "at least two classes"),
        (lambda X, y: (X, [*y[:-1], np.full(len(y[-1]), "new")]), "new"),
    ],
)
def test_labels_that_cannot_be_searched_on(change, said):
    with pytest.raises(InputError, match=said):
        glia.tune(labeler(), *change(*planted()), space=SPACE, trials=2, folds=halves())


# ---- from the command line ----

FLAGS = ["--network", "gru", "--batch-size", "16", "--epochs", "4", "--bootstrap", "50", "--quiet"]
LONG = ["--id", "who", "--time", "t", "--target", "state"]
SEARCH = ["--trials", "4", "--bracket", "4", "--siblings", "4", "--rungs", "2"]


def write(path, *, other=()):
    """Steps of 60 sequences of 15 clinics; of some, values and labels can be others."""
    X, y = planted(60, seed=2)
    rows = [
        (f"s{i}", f"c{i // 4}", t, ("down" if label == "up" else "up") if label and i in other else label,
         *(x[t] + 50.0 * (i in other)))
        for i, (x, part) in enumerate(zip(X, y, strict=True))
        for t, label in enumerate(part)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["who", "clinic", "t", "state", "a", "b"], orient="row")
    frame.write_csv(path)
    return frame


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("tuned")
    write(place / "steps.csv")
    words = ["tune", str(place / "steps.csv"), *LONG, "--group", "clinic", *SEARCH, *FLAGS]
    assert run([*words, "--out", str(place / "tuned")]) == 0
    return place


def record_of(folder):
    return json.loads((folder / "tune.json").read_text())


def trials_of(folder):
    return [(t["settings"], t["score"]) for t in record_of(folder)["trials"]]


def settings_of(place, **more):
    named: dict = {"id": "who", "time": "t", "target": "state", "group": "clinic", "network": "gru"}
    return TuneSettings(data=str(place / "steps.csv"), **{**named, **more})


def test_the_folder_has_all_and_the_settings_fit_the_same_labeler(place):
    names = ["model.glia", "report.html", "settings.toml", "space.toml", "study.db", "study.db.lock", "tune.json"]
    assert sorted(file.name for file in (place / "tuned").iterdir()) == names
    words = ["fit", str(place / "steps.csv"), "--config", str(place / "tuned" / "settings.toml"), "--no-baselines"]
    assert run([*words, "--importance-repeats", "0", "--quiet", "--out", str(place / "again")]) == 0
    one, two = (glia.load(place / name / "model.glia") for name in ("tuned", "again"))
    X, _ = planted(60, seed=2)
    assert all(np.array_equal(*pair) for pair in zip(one.predict_proba(X), two.predict_proba(X), strict=True))
    said = pl.read_parquet(place / "again" / "predictions.parquet")  # of the test sequences
    both = said.join(pl.read_csv(place / "steps.csv").drop_nulls("state"), on=["who", "t"])
    record = record_of(place / "tuned")
    assert record["n_test"] == both["who"].n_unique() and record["noun"] == "sequences"
    figures = {name: one["value"] for name, one in record["test"].items()}
    assert figures["accuracy"] == pytest.approx(accuracy_score(both["state"], both["prediction"]))
    probability = both.select("probability_down", "probability_up").to_numpy()
    assert figures["log_loss"] == pytest.approx(log_loss(both["state"], probability), abs=1e-6)
    assert record["difference"]["value"] == pytest.approx(
        record["test"][record["primary"]]["value"] - record["untuned"][record["primary"]]["value"]
    )


def test_evaluate_says_the_same(place, capsys, tmp_path):
    problem, split = problem_of(settings_of(place))
    X, _ = planted(60, seed=2)
    frame = pl.read_csv(place / "steps.csv")
    frame.filter(pl.col("who").is_in([f"s{i}" for i in split.test])).write_csv(tmp_path / "test.csv")
    capsys.readouterr()
    assert run(["evaluate", str(place / "tuned" / "model.glia"), str(tmp_path / "test.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    record = record_of(place / "tuned")
    for name, one in record["test"].items():
        assert found["metrics"][name]["value"] == pytest.approx(one["value"]), name
    assert len(problem.y) + len(split.test) == len(X)


def test_weights_of_sequences_are_those_of_their_steps(tmp_path):
    frame = write(tmp_path / "steps.csv").with_columns(pl.col("who").str.slice(1).cast(float).mod(5).alias("w"))
    frame.drop("clinic").write_csv(tmp_path / "steps.csv")
    words = ["tune", str(tmp_path / "steps.csv"), *LONG, "--weight", "w", *FLAGS, "--trials", "1", "--no-untuned"]
    assert run([*words, "--out", str(tmp_path / "tuned")]) == 0
    _, split = problem_of(
        TuneSettings(data=str(tmp_path / "steps.csv"), id="who", time="t", target="state", weight="w")
    )
    X, y = planted(60, seed=2)
    said = glia.load(tmp_path / "tuned" / "model.glia").predict([X[i] for i in split.test])
    known = [(label, one, i % 5) for i, part in zip(split.test, said, strict=True)
             for label, one in zip(y[i], part, strict=True) if label is not None]  # fmt: skip
    truth, prediction, weight = zip(*known, strict=True)
    figure = record_of(tmp_path / "tuned")["test"]["accuracy"]["value"]
    assert figure == pytest.approx(accuracy_score(truth, prediction, sample_weight=weight))
    assert figure != pytest.approx(accuracy_score(truth, prediction))


@pytest.mark.parametrize("folds", [None, 3])
def test_no_clinic_is_in_two_parts(place, folds):
    problem, split = problem_of(settings_of(place, folds=folds))
    clinic = np.arange(60) // 4
    inside = np.union1d(split.train, split.valid)
    assert not set(clinic[inside]) & set(clinic[split.test])
    assert [part.tolist() for part in problem.y] == [planted(60, seed=2)[1][i].tolist() for i in inside]
    for train, held in problem.folds:
        assert not set(clinic[inside[train]]) & set(clinic[inside[held]]) and len(train) + len(held) == len(inside)


def test_the_search_sees_no_test_sequences(place, tmp_path):
    """Other values and labels of test sequences change no score; those of validation sequences do."""
    _, split = problem_of(settings_of(place))
    for name, other in (("test", split.test), ("valid", split.valid)):
        write(tmp_path / "other.csv", other=set(other.tolist()))
        words = ["tune", str(tmp_path / "other.csv"), *LONG, "--group", "clinic", *SEARCH, *FLAGS, "--no-untuned"]
        assert run([*words, "--out", str(tmp_path / name)]) == 0
    before = trials_of(place / "tuned")
    assert trials_of(tmp_path / "test") == before
    assert trials_of(tmp_path / "valid") != before


def test_the_page_speaks_of_sequences(place):
    page = (place / "tuned" / "report.html").read_text()
    for words in ("test sequences", "sequences to train on", "labelled steps of", "What do rows say"):
        assert words in page, words
    assert "test rows" not in page.replace("is the figure on test rows", "")
    assert "array(" not in page and "s17" not in page and "['up'" not in page  # no row, and no row's labels


def test_arrays_are_searched_too_and_a_search_goes_on(tmp_path, capsys):
    X, y = planted(40, seed=5)
    cube, labels = np.full((40, 11, 2), np.nan), np.full((40, 11), np.nan)
    for row, (x, part) in enumerate(zip(X, y, strict=True)):
        cube[row, : len(x)] = x
        labels[row, : len(x)] = [np.nan if one is None else float(one == "up") for one in part]
    np.savez(tmp_path / "a.npz", X=cube, y=labels)
    words = ["tune", str(tmp_path / "a.npz"), "--no-halving", "--no-untuned", *FLAGS, "--out", str(tmp_path / "t")]
    assert run([*words, "--trials", "2"]) == 0
    before = trials_of(tmp_path / "t")
    assert run([*words, "--trials", "3", "--resume"]) == 0
    after = trials_of(tmp_path / "t")
    assert after[:2] == before and len(after) == 3
    assert glia.load(tmp_path / "t" / "model.glia").classes_.tolist() == [0, 1]
    labels[0, 0] = 1 - labels[0, 0] if labels[0, 0] == labels[0, 0] else 1
    np.savez(tmp_path / "a.npz", X=cube, y=labels)
    assert run([*words, "--trials", "4", "--resume"]) == 2  # other labels: another search
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_effort_best_searches_for_one_network(tmp_path):
    write(tmp_path / "steps.csv")
    words = ["fit", str(tmp_path / "steps.csv"), *LONG, "--drop", "clinic", *FLAGS, "--no-baselines"]
    assert run([*words, "--effort", "best", "--time-budget", "1s", "--out", str(tmp_path / "run")]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "the best of" in record["choices"]["settings"]["why"]
