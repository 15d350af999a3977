"""The bot under a crowd for as long as an hour, in five minutes: ``make soak``."""
