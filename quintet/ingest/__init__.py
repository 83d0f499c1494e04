"""Load files into raw tables: formats, contracts, quarantine. Callers pass the contracts of their datasets."""
