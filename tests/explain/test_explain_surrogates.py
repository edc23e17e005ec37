"""Trees and rules that imitate a model: exact where it is one, honest where they cannot."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from explain_functions import Prepared, assert_untouched, known, untouched

import glia
from glia.core.errors import InputError
from glia.explain import rules, surrogate_tree
from glia.explain.agreeing import agreement_with, share_interval
from glia.explain.column_grid import number_words


def rows(count=1000, columns=3, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, size=(count, columns)).astype(np.float32)


def stairs(x):
    """A tree: 9 above 0.2 in the first; below it −2 or 3 by the second."""
    return torch.where(x[:, 0] > 0.2, 9.0, torch.where(x[:, 1] > -0.3, -2.0, 3.0))


def test_a_tree_shaped_function_is_found_exactly():
    X = np.floor(rows() * 10) / 10 + np.float32(0.05)  # both steps lie in the middle between rows
    found = surrogate_tree(known(stairs), X)
    assert found.depth == 2 and found.leaves == 3 and found.fidelity.value == 1 and found.measure == "R²"
    assert sorted(node.text for node in found.nodes if node.yes < 0) == ["-2", "3", "9"]
    assert [node.text for node in found.nodes if node.yes >= 0] == ["x0 ≤ 0.2", "x1 ≤ -0.3"]
    assert [value for _, value in found.tried][1:] == [1.0] * 4 and found.tried[0][1] < 0.95
    assert found.plain == pytest.approx(0, abs=0.05) and not found.warnings
    assert sum(node.share for node in found.nodes if node.yes < 0) == pytest.approx(1)


def test_classes_keep_their_names_and_equal_leaves_become_one():
    X = rows()
    model = known(lambda x: torch.where((x[:, 0] > 0) & (x[:, 1] > 0), 5.0, -5.0), None, "binary")
    model = glia.wrap(model.network_, "binary", classes=["no", "yes"])
    found = surrogate_tree(model, X)
    assert found.measure == "accuracy" and found.fidelity.value > 0.98 and found.leaves == 3
    assert {node.text for node in found.nodes if node.yes < 0} == {"no", "yes"}
    lines = found.text().split("\n")
    assert lines[0].startswith("if x") and "→ yes" in found.text() and "100 % of them" in found.text()
    assert 0.7 < found.plain < 0.8


def test_what_no_tree_can_say_is_told():
    X = rows(600, 8)
    found = surrogate_tree(known(lambda x: torch.sin(20 * x).sum(1)), X, max_depth=3)
    assert found.fidelity.value < 0.3 and "Do not rely on it" in found.summary()
    odd = rules(known(lambda x: torch.sin(20 * x).sum(1)), X)
    assert odd.fidelity.value < 0.6 and odd.warnings


def test_fidelity_is_that_of_unseen_rows():
    # answers without any pattern: a deep tree knows its own rows, and must not boast of them
    rng = np.random.default_rng(0)
    codes = rng.normal(size=4001).astype(np.float32)
    X = rows(400)
    X[:, 0] = np.arange(400) / 400
    model = known(lambda x: torch.from_numpy(codes)[(x[:, 0] * 400).round().long()])
    found = surrogate_tree(model, X, max_depth=8, min_rows=1)
    assert found.fidelity.value < 0.2


def test_categories_and_missing_values_are_spoken_of_as_they_are():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"kind": rng.choice(["red", "green", "blue"], 600), "size": rng.normal(size=600)})
    model = Prepared(
        lambda x: torch.where(x[:, 0] > 0.5, 4.0, torch.where(x[:, 3] > 0.5, 1.0, 0.0)),
        {"kind": ["red", "green", "blue"]}, ["size"],
    )  # fmt: skip
    before = untouched(model.network_)
    found = surrogate_tree(model, frame)
    assert_untouched(model.network_, before)
    assert found.nodes[0].text == "kind is red" and found.nodes[found.nodes[0].yes].text == "4"
    assert found.fidelity.value > 0.99
    gaps = frame.with_columns(size=pl.when(pl.int_range(600) % 3 == 0).then(None).otherwise(pl.col("size")))
    label = np.where(gaps["size"].is_null().to_numpy(), "gap", "known")
    fitted = glia.Classifier(network=glia.nn.MLP((8,)), members=1, epochs=40, lr=0.02, random_state=0).fit(gaps, label)
    told = surrogate_tree(fitted, gaps)
    assert told.nodes[0].text == "size is missing" and told.fidelity.value > 0.95


def test_rules_say_a_planted_rule():
    X = rows(3000)
    model = known(lambda x: torch.where((x[:, 0] > 0.5) & (x[:, 1] < 0), 5.0, -5.0))
    model = glia.wrap(model.network_, "binary", classes=["no", "yes"], feature_names=["age", "debt", "noise"])
    found = rules(model, X)
    assert found.fidelity.value > 0.98 and found.conflicts < 0.02 and not found.warnings
    yes = [rule for rule in found.rules if rule.answer == "yes"]
    assert found.default == "yes" or yes
    if yes:
        assert {c.split()[0] for c in yes[0].conditions} == {"age", "debt"} and len(yes[0].conditions) == 2
        assert yes[0].coverage == pytest.approx(0.125, abs=0.03) and yes[0].fidelity.value > 0.95
    no = [rule for rule in found.rules if rule.answer == "no"]
    assert all("noise" not in str(rule) for rule in found.rules) and no
    assert len(no[0].conditions) == 1  # conditions that are not needed are gone
    assert found.text().endswith(f"otherwise {found.default}") and "if age" in found.text()


def test_rules_of_values_and_their_measures():
    X = rows(1500)
    found = rules(known(lambda x: 10 * x[:, 0]), X)
    kinds = {rule.answer for rule in found.rules} | {found.default}
    assert len(kinds) == 3 and any("≤" in kind for kind in kinds) and found.fidelity.value > 0.9
    # by hand: coverage and conflicts are shares of the same unseen rows
    assert 0.5 < found.coverage <= 1 and found.unseen == 450
    assert found.plot().get_title("left") and found.to_dict()["rules"][0]["conditions"]


def test_agreement_measures():
    assert share_interval(8, 10).low == pytest.approx(0.4901625) and share_interval(8, 10).high == pytest.approx(
        0.9433178
    )
    truth = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert agreement_with(truth, truth, False).value == 1
    assert agreement_with(truth, np.full((4, 1), 1.5), False).value == pytest.approx(0)
    assert agreement_with(np.array(["a", "b"]), np.array(["a", "a"]), True).value == 0.5


def test_mistakes_are_named():
    with pytest.raises(InputError, match="different answers"):
        surrogate_tree(known(lambda x: 0 * x[:, 0]), rows(100))
    with pytest.raises(InputError, match="at least 30 rows"):
        surrogate_tree(known(stairs), rows(20))
    with pytest.raises(InputError, match="fidelity must be"):
        rules(known(stairs), rows(100), fidelity=0.2)


def test_figures_are_drawn():
    found = surrogate_tree(known(stairs), rows())
    assert "3 answers" in found.plot("tree").get_title("left")
    assert found.plot("depth").lines and found._repr_html_()


def test_numbers_are_written_out():
    said = [number_words(v) for v in (37130.4, 46.5, -0.3, 0.000012345, 12345678.0, 0.0, 1.0 / 3, 1e6)]
    assert said == ["37130", "46.5", "-0.3", "1.234e-05", "1.235e+07", "0", "0.3333", "1000000"]
