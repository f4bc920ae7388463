"""An example of a package that adds a reader and a feature set to Matstrata."""
