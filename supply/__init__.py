"""What the project is built on: whether its pinned packages have known vulnerabilities."""
