"""Offline video tools on one small base. Import the submodule you need; none is loaded here."""
