# Every policy side by side: the points of each grid, the winners by scenario, and every policy as tuned elsewhere.
rule grid:
    input:
        trace="<results>/traces/{scenario}.kvtrace",
        calibration=config["calibration"],
        code=modules("metric.compare", "trace", "prefetch", "eviction"),
    output:
        "<results>/grid/{scenario}.parquet",
    log:
        "<logs>/grid/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/grid/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("leaderboard"),
    message:
        "try every grid on {wildcards.scenario}"
    shell:
        "python -m pagedkv grid --settings {params.settings:q} --trace {input.trace:q} --out {output:q} > {log:q} 2>&1"


rule tune:
    input:
        grids=expand(rules.grid.output, scenario=COMPARED),
        code=modules("metric.leaderboard"),
    output:
        "<results>/tuned.json",
    log:
        "<logs>/tune.log",
    benchmark:
        "<logs>/benchmarks/tune.tsv"
    conda:
        "../envs/kv.yaml"
    message:
        "parameters of each policy, tuned on the other scenarios"
    shell:
        "python -m pagedkv tune {input.grids:q} --out {output:q} > {log:q} 2>&1"


# The learned policy, trained on the beginning of a trace; it is judged on others.
rule train_lstm:
    input:
        trace="<results>/traces/{scenario}.kvtrace",
        calibration=config["calibration"],
        code=modules("learn", "trace", "prefetch", "eviction"),
    output:
        "<results>/lstm/{scenario}.npz",
    log:
        "<logs>/train_lstm/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/train_lstm/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    message:
        "train the learned policy on {wildcards.scenario}"
    shell:
        "python -m pagedkv train-lstm --trace {input.trace:q} --calibration {input.calibration:q} --out {output:q} > {log:q} 2>&1"


rule compare:
    input:
        trace="<results>/traces/{scenario}.kvtrace",
        tuned=rules.tune.output,
        grid=rules.grid.output,
        weights=weights_for,
        calibration=config["calibration"],
        code=modules("metric.compare", "trace", "prefetch", "eviction"),
    output:
        "<results>/compared/{scenario}.{part}.parquet",
    log:
        "<logs>/compare/{scenario}.{part}.log",
    benchmark:
        "<logs>/benchmarks/compare/{scenario}.{part}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("leaderboard"),
        weights=option("--weights"),
    message:
        "compare policies on {wildcards.scenario}, eviction: {wildcards.part}"
    shell:
        "python -m pagedkv compare --settings {params.settings:q} --trace {input.trace:q} --tuned {input.tuned:q}"
        " --grid {input.grid:q} --part {wildcards.part} {params.weights} --out {output:q} > {log:q} 2>&1"


rule seeds:
    input:
        calibration=config["calibration"],
        code=modules("metric.seeds", "workload", "engine.record", "prefetch", "eviction"),
    output:
        "<results>/seeds/{scenario}.parquet",
    log:
        "<logs>/seeds/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/seeds/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("seeds"),
    message:
        "repeat the comparison on {wildcards.scenario} under other seeds"
    shell:
        "python -m pagedkv seeds --settings {params.settings:q} --out {output:q} > {log:q} 2>&1"
