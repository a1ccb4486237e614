"""Decides. Nothing here sends or sleeps; only a vector space and its canary are written to files and read again."""
