"""Pictures from outside: one decoder for all of them, and one reader for sets of them."""
