"""Numbers against named peers, in one run."""
