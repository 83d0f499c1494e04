"""Tables of an application's database, taken into the warehouse as files are."""
