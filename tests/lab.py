"""The contract of a laboratory's small table, from which many tests start: `lab.csv` with columns formula and gap."""

from __future__ import annotations

CONTRACT = """
source: lab
title: Gaps of the lab
description: Optical gaps measured in the lab.
kind: experiment
method: absorption
licence: CC0-1.0
citation: {bibtex: "@misc{lab}"}
files: [{path: lab.csv}]
reader: delimited
columns: {formula: formula}
values: [{column: gap, property: band_gap, unit: eV}]
"""


def named(source: str) -> str:
    """The same contract of another source, with a file of its own."""
    return CONTRACT.replace("source: lab", f"source: {source}").replace("lab.csv", f"{source}.csv")
