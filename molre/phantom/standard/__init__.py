"""The standard head, drawn once, region by region."""
