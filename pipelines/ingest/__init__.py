"""From a contract and its bytes to observations and rejections. Not here: what a contract may say (`schemas`)."""
