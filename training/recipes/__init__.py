"""Recipes: how each training corpus is made or fetched, one package a corpus."""
