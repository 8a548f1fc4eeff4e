"""Models that have cores of their own."""

import json
import os

import pytest

pytestmark = pytest.mark.system


def test_a_model_computes_on_the_cores_that_it_was_given(launch):
    core = min(os.sched_getaffinity(0))
    server = launch("hibari", SONORANT_REPLICAS__CORES=json.dumps({"hibari": [core]}))
    server.wait_until_settled()
    (replica,) = server.replicas()
    assert replica.cpu_affinity() == [core]
    assert server.process.cpu_affinity() == sorted(os.sched_getaffinity(0))
    assert server.http.post("/v1/audio/speech", json={"input": "Hello."}).status_code == 200
    assert server.stop() == 0
