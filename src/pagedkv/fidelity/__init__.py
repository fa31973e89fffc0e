"""The simulator held against a GPU: what was measured there, run again here, and every difference counted."""
