"""Tables of an application's database, loaded into the warehouse like files."""
