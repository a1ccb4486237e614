"""What acts: drivers, threads, streams, and the assembly of an embedder from its options."""
