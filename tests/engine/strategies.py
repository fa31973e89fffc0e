"""Small random workloads and engine settings, for property tests of whole runs."""

from hypothesis import strategies as st

from tests.engine.build import table


@st.composite
def request_tables(draw, most=7, prompt=90, output=40):
    """Requests of a few blocks: some at the same instant, some with shared prefixes, some in sessions with pauses."""
    rows = []
    for number in range(draw(st.integers(1, most))):
        row = {
            "prompt": draw(st.integers(1, prompt)),
            "output": draw(st.integers(1, output)),
            "at": draw(st.sampled_from([0.0, 0.0, 0.001, 0.0105, 0.03, 0.2])),
        }
        family = draw(st.sampled_from([None, None, 0, 1]))
        if family is not None:
            # The prefix is the family's, the rest the request's own.
            shared = draw(st.integers(0, 4))
            blocks = -(-row["prompt"] // 16)
            row["ids"] = [100 * family + b if b < shared else 1000 * (number + 1) + b for b in range(blocks)]
        if rows and draw(st.integers(0, 3)) == 0:
            earlier = draw(st.integers(0, len(rows) - 1))
            session = rows[earlier].get("session", earlier)
            rows[earlier]["session"] = session
            turn = 1 + max(r.get("turn", 0) for r in rows if r.get("session") == session)
            row.update(session=session, turn=turn, pause=draw(st.sampled_from([0.0, 0.004, 0.1])))
        rows.append(row)
    rows.sort(key=lambda r: r.get("pause", -1.0) >= 0)
    return _sorted(rows)


def _sorted(rows):
    """As the contract asks: rows with an arrival are sorted by it. Sessions keep numbers of their own."""
    for number, row in enumerate(rows):
        row.setdefault("session", 10_000 + number)
    with_arrival = sorted((r for r in rows if "pause" not in r), key=lambda r: r["at"])
    return table(with_arrival + [r for r in rows if "pause" in r])


@st.composite
def engine_settings(draw):
    host = draw(st.sampled_from([None, None, 0, 3, 12]))
    return {
        "host_blocks": host,
        "pool_blocks": draw(st.integers(10, 18)),
        "max_num_seqs": draw(st.integers(1, 4)),
        "max_num_batched_tokens": draw(st.sampled_from([7, 32, 64, 256])),
        "preemption": draw(st.sampled_from(["swap", "recompute"])),
        "quantum_steps": draw(st.sampled_from([None, 1, 5])),
        "prefix_cache": draw(st.booleans()),
        "reserve_full_prompt": draw(st.booleans()),
    }


POLICIES = st.sampled_from(
    [
        ("none", {}),
        ("next_n", {"n": 2}),
        ("linux_vma", {}),
        ("leap_paper", {}),
        ("la_k", {"k": 4}),
        ("la_k", {"k": None}),
        ("la_k", {"plan": "len_pred"}),
        ("forestall", {}),
        ("tip", {}),
        ("enst", {}),
        ("queue_la", {}),
        ("steps_to_execution", {}),
        ("ttl", {}),
        ("pause_prefetch", {}),
        ("resume_prefetch", {}),
        ("ewma_lead", {}),
        ("wait_complete", {"least_tokens": 0}),
        ("timeout", {"least_tokens": 0, "base_s": 0.002, "per_ki_s": 0.0}),
    ]
)
