"""The change log: the changes of a database's rows, in order, as objects in an object store.

It depends on no domain and no database. The stream writes it; domains read it.
"""
