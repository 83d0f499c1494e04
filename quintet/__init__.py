"""The product: plain Python over data frames and DuckDB relations."""
