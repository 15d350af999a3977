"""Many people of many servers press /merge at once: who is acknowledged when, and served when."""
