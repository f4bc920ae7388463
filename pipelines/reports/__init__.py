"""Figures and tables for people: the HTML report of one property, and its parity plot as a small PNG."""
