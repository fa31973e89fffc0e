"""From aggregated rows to the report: figures, tables, quoted numbers, claims and provenance.

This package reads files and never the engine. Everything starts at `frames.load`, which brings the rows of
`results/metrics.parquet` and `results/serve.parquet` into one form and adds the derived columns that claims may name.
"""
