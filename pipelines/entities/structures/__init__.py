"""Crystal structures: text becomes a checked structure, its symmetry, and groups of equal ones.

Here: `parse` (CIF, pymatgen JSON, OPTIMADE, POSCAR), `symmetry`, `duplicates`. All are pure functions of their input.
Not here: which column or file of a source holds a structure (the readers), and the table `structures` (the store).
"""
