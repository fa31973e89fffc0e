"""Conformance with vLLM: the same requests under the same settings, step by step (cases: tests/conformance/cases)."""
