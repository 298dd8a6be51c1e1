"""The rules of repairs; nothing here knows a database or a browser."""
