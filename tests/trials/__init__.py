"""Long trials on real processes: `python -m tests.trials`; their short forms are tests."""
