"""What data must look like: pure definitions and checks, no I/O."""
