"""Runs and their metrics: what is run on a trace, one row a run, intervals, aggregation."""
