"""The change log: what happened to the rows of a database, in order, as objects in a store.

A leaf: it knows no domain and no database. The stream writes it; domains replay it.
"""
