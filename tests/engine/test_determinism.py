"""Same inputs, same seed: the same bytes, whatever the process and the seed of Python's hashes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pagedkv.trace import read
from tests.engine.build import record, replay, table

SCRIPT = """
import sys
from pagedkv import trace
from tests.engine.build import record, replay, table
from tests.engine.test_determinism import ROWS, SETTINGS, replayed

made, _ = record(table(ROWS), settings=SETTINGS)
trace.write(made, sys.argv[1])
print(replayed(made))
"""

ROWS = [{"prompt": 40 + 9 * n, "output": 30 + n, "ids": [n % 2, 2 + n % 2]} for n in range(6)]
SETTINGS = {"max_num_seqs": 2, "quantum_steps": 4, "pool_blocks": 20, "host_blocks": 40}


def replayed(made):
    """Bits of the stalls and the counts of a replay of each kind of policy."""
    results = []
    for policy in ("none", "next_n", "linux_vma", "leap_paper", "la_k", "clairvoyant"):
        run = replay(made, policy, pool=20)
        run.run()
        results.append((run.stalls.tobytes().hex(), str(run.memory.counts), str(run.memory.issuer.counts)))
    return results


def test_fresh_processes_write_the_same_bytes(repository, tmp_path):
    processes, answers = [], []
    for seed in ("0", "4711"):
        paths = os.pathsep.join([str(repository / "src"), str(repository)])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths}
        command = [sys.executable, "-c", SCRIPT, tmp_path / f"{seed}.kvtrace"]
        processes.append((seed, subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)))
    for seed, process in processes:
        printed, _ = process.communicate()
        assert process.returncode == 0
        answers.append(((tmp_path / f"{seed}.kvtrace").read_bytes(), printed))
    assert answers[0] == answers[1]
    # And this process, with a third seed and other tests before it, agrees.
    made, loop = record(table(ROWS), settings=SETTINGS)
    written = read(tmp_path / "0.kvtrace")
    for name in ("steps", "reads", "tables", "transfers", "events", "plans", "requests"):
        for column, values in getattr(made, name).items():
            assert np.array_equal(values, getattr(written, name)[column]), (name, column)
    assert loop.memory.counts.demand_loads > 0
    assert str(replayed(made)) == answers[0][1].strip()


@pytest.mark.parametrize(
    "change", [{"quantum_steps": 5}, {"pool_blocks": 22}, {"preemption": "recompute", "quantum_steps": None}]
)
def test_other_settings_write_other_bytes(change):
    """Guards the test above against a recorder that writes the same whatever happens."""
    one, other = (record(table(ROWS), settings={**SETTINGS, **c})[0] for c in ({}, change))
    assert one.tables["first_slot"].tobytes() != other.tables["first_slot"].tobytes()
