# Public sources and generators in, request tables out.
rule fetch:
    input:
        code=modules("workload"),
    output:
        "<results>/sources/{source}",
    log:
        "<logs>/fetch/{source}.log",
    benchmark:
        "<logs>/benchmarks/fetch/{source}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("fetch"),
    message:
        "fetch {wildcards.source}, from PAGEDKV_DATA or the network"
    shell:
        "python -m pagedkv fetch {wildcards.source} --settings {params.settings:q} --out {output:q} > {log:q} 2>&1"


rule workload:
    input:
        data=source_file,
        code=modules("workload"),
    output:
        "<results>/workloads/{scenario}.parquet",
    log:
        "<logs>/workload/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/workload/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        settings=settings("workload"),
        data=option("--data"),
    message:
        "workload {wildcards.scenario}"
    shell:
        "python -m pagedkv workload --settings {params.settings:q} {params.data} --out {output:q} > {log:q} 2>&1"
