"""Bernini (arXiv 2605.22344): a planner says in visual tokens what is to be seen; a renderer draws."""
