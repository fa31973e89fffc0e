"""The learned prefetcher's network: its file, its training and how well it predicts. See `prefetch/lstm.py`."""
