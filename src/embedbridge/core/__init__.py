"""Decides. Nothing here opens, sends or sleeps."""
