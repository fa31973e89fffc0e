# How predictable the pages of a trace are: entropy, reuse, and how far the scheduler's plan sees.
rule predict:
    input:
        trace="<results>/traces/{scenario}.kvtrace",
        calibration=config["calibration"],
        weights=expand("<results>/lstm/{trained}.npz", trained=TRAINED),
        code=modules("predict", "metric.replay", "trace"),
    output:
        "<results>/predict/{scenario}.parquet",
    log:
        "<logs>/predict/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/predict/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("replay"),
    message:
        "predictability of {wildcards.scenario}"
    shell:
        "python -m pagedkv predict --settings {params.settings:q} --trace {input.trace:q} --weights {input.weights:q}"
        " --out {output:q} > {log:q} 2>&1"
