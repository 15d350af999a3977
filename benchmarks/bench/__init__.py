"""How fast and how lean: this pipeline against the stock way and against the arithmetic."""
