"""Bernini (arXiv 2605.22344): a planner says in visual tokens what to show, a renderer draws."""
