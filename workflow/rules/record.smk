# A request table in, the trace of the engine that serves it out; or the trace that recorded/ ships.
if slices.trace_device(config) == "recorded":

    rule recorded:
        input:
            "recorded/traces/{scenario}.kvtrace",
        output:
            "<results>/traces/{scenario}.kvtrace",
        log:
            "<logs>/record/{scenario}.log",
        conda:
            "../envs/kv.yaml"
        message:
            "trace {wildcards.scenario}, as shipped"
        shell:
            "(python -m pagedkv verify {input:q} && cp {input:q} {output:q}) > {log:q} 2>&1"

else:

    rule record:
        input:
            requests="<results>/workloads/{scenario}.parquet",
            calibration=config["calibration"],
            code=modules("engine.record", "prefetch.none", "eviction.lru", "trace"),
        output:
            "<results>/traces/{scenario}.kvtrace",
        log:
            "<logs>/record/{scenario}.log",
        benchmark:
            "<logs>/benchmarks/record/{scenario}.tsv"
        conda:
            "../envs/kv.yaml"
        params:
            settings=settings("record"),
        message:
            "record {wildcards.scenario} on the simulated device"
        shell:
            "python -m pagedkv record --settings {params.settings:q} --requests {input.requests:q} --out {output:q} > {log:q} 2>&1"
