"""Cases: what waits for a person's verdict, in every domain. It knows no domain."""
