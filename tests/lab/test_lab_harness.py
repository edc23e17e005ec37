"""The harness with made questions: seeds, budgets, verdicts that repeat, and controls that find nothing."""

import numpy as np
import pytest

from glia.core.errors import InputError
from glia.lab.bench import Bench
from glia.lab.data import load_data
from glia.lab.harness import FIRST, MOST, run_lab
from glia.lab.question import Claim, Findings, Question


@pytest.fixture(scope="module")
def bench():
    return Bench(load_data(None, None, rows=120, seed=0), 0)


def question(number, effect, noise=1.0, direction="higher", calls=None):
    def measure(bench, seeds):
        if calls is not None:
            calls.append((number, list(seeds)))
        drawn = np.stack([np.random.default_rng([number, seed]).normal(size=2) for seed in seeds])
        return Findings({"it": (effect + noise * drawn[:, 0], noise * drawn[:, 1])})

    claim = Claim("it", "It helps.", "with minus without", "points", direction, 0.5)
    return Question(number, f"Question {number}", "Does it help?", (claim,), measure)


def verdicts(result):
    return {claim["question"]: claim["verdict"] for claim in result.to_dict()["claims"]}


def test_effects_of_each_kind_get_their_verdict(bench):
    asked = [question(1, 8.0), question(2, -8.0), question(3, 0.0, 0.01), question(4, 0.5, 3.0)]
    found = run_lab(asked, bench, seeds=10)
    assert verdicts(found) == {1: "supported", 2: "refuted", 3: "refuted", 4: "undecided"}
    first = found.to_dict()["claims"][0]
    assert first["interval"][0] < first["effect"] < first["interval"][1]
    assert first["effect"] == pytest.approx(np.mean(first["with"]) - np.mean(first["without"]))
    assert {"question", "claim", "verdict", "effect", "unit", "interval", "seeds", "seconds"} <= set(first)


def test_the_same_seeds_give_the_same_verdicts_in_one_round_or_many(bench):
    asked = [question(1, 1.2), question(2, -1.0), question(5, 0.1)]
    once, again = run_lab(asked, bench, seeds=10), run_lab(reversed(asked), bench, seeds=10)
    assert verdicts(once) == verdicts(again)
    effects = [claim["effect"] for claim in once.to_dict()["claims"]]
    assert effects == [claim["effect"] for claim in again.to_dict()["claims"]]


def test_a_budget_buys_seeds_for_what_is_undecided_only(bench):
    calls = []
    found = run_lab([question(1, 9.0, calls=calls), question(4, 0.3, 3.0, calls=calls)], bench, budget=60.0)
    spent = {number: sum(len(seeds) for n, seeds in calls if n == number) for number in (1, 4)}
    assert spent[1] == FIRST
    assert spent[4] == MOST or verdicts(found)[4] != "undecided"
    assert [seeds for n, seeds in calls if n == 4][:2] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_no_time_leaves_questions_out_and_says_so(bench):
    found = run_lab([question(1, 9.0), question(2, 9.0)], bench, budget=1e-9)
    assert found.to_dict()["left_out"] == [1, 2] and not found.to_dict()["claims"]


def test_shuffled_assignments_find_nothing(bench):
    found = run_lab([question(n, 8.0) for n in range(1, 31)], bench, seeds=10)
    controls = [claim["control"] for claim in found.to_dict()["claims"]]
    assert np.mean(controls) <= 0.06  # the stated level is 0.05
    assert all(verdict == "supported" for verdict in verdicts(found).values())


def test_a_question_that_forgets_a_claim_is_found_out(bench):
    broken = Question(1, "a", "b?", question(1, 0.0).claims, lambda bench, seeds: Findings({}))
    with pytest.raises(ValueError, match="question 1 measured nothing for 'it'"):
        run_lab([broken], bench)


@pytest.mark.parametrize("wrong", [{"bootstrap": True}, {"learning_rate": 0.1}, {"lr": "fast"}])
def test_what_is_suggested_must_be_settings_of_a_fit(bench, wrong):
    def measure(bench, seeds):
        return Findings({"it": (np.ones(len(seeds)), np.zeros(len(seeds)))}, suggestion=wrong)

    broken = Question(1, "a", "b?", question(1, 0.0).claims, measure)
    with pytest.raises((ValueError, InputError)):
        run_lab([broken], bench)
