"""Speed, compared with the limits of the machine: `make bench`."""
