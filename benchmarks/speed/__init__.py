"""How fast, and how near to the limit of the machine: `make bench`."""
