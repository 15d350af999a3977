"""A blind listening test: this pipeline's mash-ups beside those of the project it grew from."""
