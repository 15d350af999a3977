"""The Discord face of the mash-up bot."""
