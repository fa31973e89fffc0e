# Our engine in vLLM's mode on the requests of a scenario of vLLM: what its trace says is held beside what vLLM's says.
rule beside_vllm:
    input:
        requests="<results>/workloads/{scenario}.parquet",
        calibration=config["calibration"],
        code=modules("verbs_vllm", "engine.record", "metric.replay"),
    output:
        "<results>/beside/{scenario}.parquet",
    log:
        "<logs>/beside/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/beside/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("beside"),
    message:
        "our engine beside vLLM on {wildcards.scenario}"
    shell:
        "python -m pagedkv beside-vllm --settings {params.settings:q} --requests {input.requests:q} --out {output:q}"
        " > {log:q} 2>&1"
