"""The product wing: plain Python over frames and DuckDB relations."""
