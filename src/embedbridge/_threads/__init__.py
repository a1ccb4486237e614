"""Threads, waiting and the end of the program: nothing of the application can withhold them."""
