"""Published figures beside ours: one file for each group of figures, each with a function `rows`."""
