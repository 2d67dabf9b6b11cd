"""Nodes that are killed, taken away by notice, and added while a run is on: a cluster of several on this machine."""

import time

import pytest
from fault_runs import Job, assert_same_run, reached, slowed, worker_pids
from several_nodes import Nodes

pytestmark = [pytest.mark.ray, pytest.mark.faults]

AGAIN = "going on from step"


@pytest.fixture(scope="module")
def nodes():
    running = Nodes()
    yield running
    running.close()


@pytest.fixture
def job(jobs, nodes, small_store, features):
    """Start a training on the nodes."""
    environment = nodes.environment | {"RAY_ADDRESS": nodes.address, "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1"}
    environment |= {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "60"}

    def start(out, **flags):
        jobs.append(Job(str(out), small_store, features, flags, environment))
        return jobs[-1]

    return start


def test_a_node_is_killed_and_another_taken_away_by_notice(job, nodes, calm, tmp_path):
    run = job(tmp_path, workers=2, max_failures=1)
    run.wait_until(lambda: "waiting for more" in run.told)  # the driver is at home on the head, which stays
    first = nodes.add()
    run.wait_for_step(120)
    nodes.remove(first)
    second = nodes.add()
    run.wait_until(lambda: run.told.count(AGAIN) == 1)
    before = reached(run.out)
    run.wait_for_step(before + 80)
    deadline_s = 8
    with slowed(nodes.token):
        third = nodes.add()
        nodes.drain(second, deadline_s)
        begun = time.monotonic()
        run.wait_until(lambda: "about to be taken away" in run.told)
        told = run.told
        # A node that goes before its time has failed, as Ray sees it.
        run.wait_until(lambda: time.monotonic() > begun + deadline_s + 1)
        nodes.remove(second)
    run.wait_until(lambda: run.told.count(AGAIN) == 2)
    # The notice is no failure of the run: --max-failures 1 was spent on the killed node.
    run.end()
    nodes.remove(third)
    assert "leaving a checkpoint" in told
    assert_same_run(tmp_path, calm, exactly=True)


def test_an_elastic_run_takes_up_a_node_and_outlives_its_loss(job, nodes, calm, tmp_path):
    run = job(tmp_path, workers="1-2", resize_every_s=1)
    run.wait_for_step(40)
    (alone,) = worker_pids(nodes.token)
    with slowed(nodes.token):
        added = nodes.add()
        run.wait_until(lambda: alone not in worker_pids(nodes.token))
    run.wait_until(lambda: run.told.count(AGAIN) == 1)
    assert len(worker_pids(nodes.token)) == 2
    before = reached(run.out)
    run.wait_for_step(before + 80)
    nodes.remove(added)
    run.wait_until(lambda: run.told.count(AGAIN) == 2)
    assert len(worker_pids(nodes.token)) == 1
    run.end()
    assert_same_run(tmp_path, calm, exactly=False)
