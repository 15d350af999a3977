"""The song factory and the schools: rendered clips, and the models that learn from them."""
