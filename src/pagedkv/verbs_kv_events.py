"""The verbs about the real vLLM: `kv-events`, which reads what a deployment publishes of its own KV cache."""

from __future__ import annotations

from pathlib import Path

from pagedkv.verbs import Arguments


def kv_events_capture(arguments: Arguments) -> None:
    from pagedkv.kv_events.capture import Source, capture

    source = Source(arguments.endpoint, arguments.replay_endpoint, arguments.topic)
    options = {"content": arguments.token_ids, "history": arguments.history}
    done = capture(source, arguments.seconds, arguments.out, **options)
    ended = f"; ended early: {done.ended}" if done.ended else ""
    print(f"{arguments.out}: {done.batches} batches, {done.recovered} of them by replay, {done.missing} missing{ended}")


def kv_events_from_trace(arguments: Arguments) -> None:
    from pagedkv import trace
    from pagedkv.device.calibration import read_calibration
    from pagedkv.kv_events.event_log import write_log
    from pagedkv.kv_events.from_trace import events_of

    batches = events_of(trace.read(arguments.trace), read_calibration(arguments.calibration), arguments.pool_blocks)
    print(f"{arguments.out}: {write_log(batches, arguments.out)} batches")


def kv_events_report(arguments: Arguments) -> None:
    import pandas as pd

    from pagedkv.device.calibration import read_calibration
    from pagedkv.files import whole_file
    from pagedkv.geometry import geometry
    from pagedkv.kv_events.event_log import read_log
    from pagedkv.kv_events.report import report, tables
    from pagedkv.kv_events.report_text import lines
    from pagedkv.kv_events.verdict import MIN_SPAN_S
    from pagedkv.metric.aggregate import write_rows

    log = read_log(arguments.log, arguments.allow_gaps)
    found = report(log, read_calibration(arguments.calibration), geometry(arguments.model))
    min_span_s = MIN_SPAN_S if arguments.min_span_s is None else arguments.min_span_s
    text = "".join(f"{line}\n" for line in lines(found, min_span_s))
    if arguments.out is not None:
        with whole_file(arguments.out / "report.txt") as temporary:
            Path(temporary).write_text(text)
        for name, columns in tables(found).items():
            write_rows(pd.DataFrame(columns), arguments.out / f"{name}.parquet")
    print(text, end="")
