"""Texts that are handed to a batch API today and come back another day. Users' door is `embedbridge.batch`."""
