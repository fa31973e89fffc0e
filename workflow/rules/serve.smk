# Closed loop: a request table in, one row a run out (latencies, throughput).
rule serve:
    input:
        requests="<results>/workloads/{scenario}.parquet",
        calibration=config["calibration"],
        code=modules("metric.serve", "prefetch", "eviction"),
    output:
        "<results>/serve/{scenario}.parquet",
    log:
        "<logs>/serve/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/serve/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("serve"),
    message:
        "serve {wildcards.scenario} in the closed loop"
    shell:
        "python -m pagedkv serve --settings {params.settings:q} --requests {input.requests:q} --out {output:q} > {log:q} 2>&1"
