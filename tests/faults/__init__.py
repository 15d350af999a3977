"""The fault test: a bot that is killed, starved and cut off, and answers everybody once."""
