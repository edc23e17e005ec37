"""Questions 5 to 7 find right passes, gradients and products right, and wrong ones wrong."""

import numpy as np
import pytest
import torch

from glia.lab import q05_forward_propagation as q05
from glia.lab import q06_backpropagation as q06
from glia.lab import q07_chain_rule as q07
from glia.lab.bench import Bench
from glia.lab.made import line, rings
from glia.lab.q04_perceptron_and_mlp import many_rings
from glia.lab.verdict import judge, weigh

SEEDS = range(5)


def words(claims, found):
    """Return the verdicts that the harness would give on these figures."""
    judged = judge([weigh(claim, *found.pairs[claim.key]) for claim in claims])
    return {claim.key: word for claim, (word, _) in zip(claims, judged, strict=True)}


AGAIN = [pytest.param(make, marks=pytest.mark.slow) for make in (line, many_rings)]  # the same claims once more


@pytest.fixture(params=[rings, *AGAIN], ids=["binary", "regression", "multiclass"])
def bench(request):
    return Bench(request.param(seed=0))


@pytest.mark.parametrize("question", [q05, q06, q07], ids=["q05", "q06", "q07"])
def test_what_is_right_is_found_right(question, bench):
    found = question.measure(bench, SEEDS)
    assert words(question.CLAIMS, found) == dict.fromkeys(found.pairs, "supported")


def test_q05_a_pass_without_the_bias_is_found_wrong():
    def forgetful(network, x):
        return [(pre - pre.mean(0), after) for pre, after in q05.by_hand(network, x)]

    found = words(q05.CLAIMS, q05.measure(Bench(rings()), SEEDS, hand=forgetful))
    assert found["by hand"] == found["deep"] == "refuted"


def test_q05_layers_without_kinks_are_one_map_wherever_they_stand():
    """With no non-linear activation on either side of the contrast there is no difference to be found."""
    assert words(q05.CLAIMS, q05.measure(Bench(rings()), SEEDS, bent="linear"))["one map"] != "supported"


def test_q06_gradients_that_lack_a_factor_are_found_wrong_but_still_lead_down():
    found = words(q06.CLAIMS, q06.measure(Bench(rings()), SEEDS, lambda *at: [2 * g for g in q06.backpropagated(*at)]))
    assert found == {"differences": "refuted", "downhill": "supported", "loss falls": "supported"}


def test_q06_gradients_of_the_wrong_sign_lead_up():
    found = words(q06.CLAIMS, q06.measure(Bench(line()), SEEDS, lambda *at: [-g for g in q06.backpropagated(*at)]))
    assert found == dict.fromkeys(found, "refuted")


def test_q06_errors_fall_with_the_square_of_the_step_for_central_differences_only():
    found = q06.measure(Bench(line()), SEEDS)
    central, forward = (
        np.log10(found.sweeps[0].lines[name]).mean(0) for name in ("central differences", "forward differences")
    )
    assert -2.2 < (central[2] - central[1]) < -1.8 and -1.2 < (forward[2] - forward[1]) < -0.8


def test_q07_a_product_without_one_layer_is_found_wrong():
    def short(result):
        kept = [k for k, name in enumerate(result.stages) if name != "blocks.2.activation"]
        return q07.product_of(result, kept)

    found = words(q07.CLAIMS, q07.measure(Bench(rings()), SEEDS, multiply=short))
    assert found["product"] == "refuted"


def test_q07_without_derivatives_below_one_nothing_shrinks():
    """Linear layers of He's weights gain √2 each: the claims on sigmoid fail for them."""
    found = words(q07.CLAIMS, q07.measure(Bench(rings()), SEEDS, bounded="linear"))
    assert found["sigmoid shrinks"] == found["ReLU keeps"] == "refuted"


def test_questions_leave_torch_as_it_was():
    state = torch.get_rng_state()
    for question in (q05, q06, q07):
        question.measure(Bench(rings()), [0])
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("question", [q05, q06, q07], ids=["q05", "q06", "q07"])
def test_a_seed_gives_the_same_in_any_round(question):
    together, alone = question.measure(Bench(rings()), [0, 1, 2]), question.measure(Bench(rings()), [2])
    for key, both in together.pairs.items():
        np.testing.assert_array_equal(np.array(both)[:, 2], np.array(alone.pairs[key])[:, 0])
