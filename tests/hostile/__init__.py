"""Files made to harm, and what watches that they do not."""
