"""Real parts for the tests: models, servers and data, built once and kept; nothing here is shipped."""
