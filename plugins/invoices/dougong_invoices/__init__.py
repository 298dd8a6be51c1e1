"""E-invoices: requested, issued once, credited in red, archived."""
