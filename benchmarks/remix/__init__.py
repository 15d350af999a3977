"""How long the buttons under a mash-up take, against the merge that made it."""
