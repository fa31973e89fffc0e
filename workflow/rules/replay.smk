# Open loop: a trace in, one row a run out (policy, eviction, demand mode, capacity, link).
rule replay:
    input:
        trace="<results>/traces/{scenario}.kvtrace",
        calibration=config["calibration"],
        code=modules("metric.replay", "trace", "prefetch", "eviction"),
    output:
        "<results>/runs/{scenario}.parquet",
    log:
        "<logs>/replay/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/replay/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("replay"),
    message:
        "replay {wildcards.scenario} under every policy"
    shell:
        "python -m pagedkv replay --settings {params.settings:q} --trace {input.trace:q} --out {output:q} > {log:q} 2>&1"
