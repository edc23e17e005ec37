"""Networks broken on purpose get the right verdict first, and healthy ones none."""

from functools import cache

import pytest
from diagnose_planted import BROKEN, HEALTHY

from glia.diagnose.verdict import TITLES

AGAIN = ("exploding gradients (adam)", "rate too high (sgd)", "wrong direction (sign)", "batch_norms", "small_images")
"""The same fault or health once more in another way, and those that take longest."""


def listed(patients):
    return [pytest.param(name, marks=pytest.mark.slow if name in AGAIN else ()) for name in patients]


@cache
def diagnosed(name):
    return (BROKEN | HEALTHY)[name]().diagnose()


@pytest.mark.parametrize("name", listed(BROKEN))
def test_a_planted_fault_gets_its_verdict_first_with_signs_that_are_met_and_a_remedy(name):
    result = diagnosed(name)
    assert result.first == name.split(" (")[0], result.summary()
    first = result.verdicts[0]
    assert first.signs and all(sign.met for sign in first.signs) and first.follows == ""
    assert first.remedy.words and (first.remedy.settings or first.remedy.parameters)
    assert first.title in result.summary() and first.sentence in result.summary()


@pytest.mark.parametrize("name", listed(HEALTHY))
def test_a_healthy_network_gets_none(name):
    result = diagnosed(name)
    assert result.healthy, result.summary()
    assert "Nothing is wrong" in result.summary()


def test_every_verdict_that_there_is_was_planted():
    assert {name.split(" (")[0] for name in BROKEN} == set(TITLES)
    assert len(BROKEN) >= 12


def test_what_follows_from_a_cause_says_so_and_stands_behind_it():
    dead = diagnosed("dead units")
    assert [one.kind for one in dead.verdicts[:2]] == ["dead units", "vanishing gradients"]
    assert dead.verdicts[1].follows == "dead units"


@pytest.mark.parametrize("name", ["rate too low", "miscalibration", "data leak"])
def test_the_remedy_is_proved_by_training_with_and_without_it(name):
    result = BROKEN[name]().diagnose(prove_remedies=True, seeds=4)
    proof = result.verdicts[0].proof
    assert proof.outcome == "helped" and proof.difference.high < 0
    assert len(proof.without) == len(proof.with_) == 4
    assert "the remedy helped" in result.summary()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BROKEN))
def test_every_remedy_helps_its_planted_fault(name):
    proof = BROKEN[name]().diagnose(prove_remedies=True).verdicts[0].proof
    assert proof.outcome == "helped", proof
