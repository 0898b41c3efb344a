"""The history: visits, stored with their pictures in a database of their own (docs/history.md)."""
