"""Materials, structures and molecules become feature columns: pure functions of their input."""
