"""Cohort formats: where their studies are, and what their labels say."""
