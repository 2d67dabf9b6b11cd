"""torch.compile: the whole network in one graph, the same as eager.

The compiler cannot trace the shape checks of the test run, so that these tests run in a process without them.
"""

import os
import subprocess
import sys

import pytest
import torch
from networks import adapted, gradients, inputs

from molre.adapters import GateMeter, record_gates

CASES = [("mlp", "linear"), ("molre", "linear"), ("molre-1", "conv2d"), ("molre-token", "conv3d")]
CHECKED = os.environ.get("MOLRE_CHECK_SHAPES") != "0"
unchecked = pytest.mark.skipif(CHECKED, reason="run by test_without_shape_checks, in another process")


@pytest.mark.skipif(not CHECKED, reason="the others run here")
def test_without_shape_checks():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"MOLRE_CHECK_SHAPES": "0"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"{len(CASES) + 1} passed" in done.stdout


@unchecked
@pytest.mark.parametrize(("kind", "form"), CASES)
def test_compiled_whole_it_equals_eager_forward_and_backward(kind, form):
    torch.compiler.reset()
    model, x = adapted(kind, form), inputs(form)
    # aot_eager traces forward and backward as the default does, and leaves out only the slow making of kernels.
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    wanted, wanted_gradients = gradients(model, x)
    y, got = gradients(compiled, x)
    torch.testing.assert_close(y, wanted, atol=1e-5, rtol=1e-5)
    for name, gradient in wanted_gradients.items():
        torch.testing.assert_close(got[f"_orig_mod.{name}"], gradient, atol=1e-4, rtol=1e-4)


@unchecked
def test_compiled_and_observed_it_tells_every_pass_once():
    torch.compiler.reset()
    model, x = adapted("molre", "linear"), inputs("linear")
    compiled = torch.compile(model, backend="aot_eager")
    with record_gates(model) as wanted:
        model(x)
    compiled(x)
    with record_gates(model) as gates, GateMeter(model) as meter:
        for _ in range(3):
            compiled(x).sum().backward()
    assert {name: len(passes) for name, passes in gates.items()} == {"first": 3, "second": 3}
    assert {figures.rows for figures in meter.read().values()} == {3 * len(x)}
    torch.testing.assert_close(gates["first"][0], wanted["first"][0])
    torch.compile(model, fullgraph=True, backend="aot_eager")(x)
