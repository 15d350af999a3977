"""The beat network: what it learns from, its training, its export."""
