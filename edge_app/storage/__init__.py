"""The state folder: taught examples in SQLite, snapshots of the network beside them; knows no classifier."""
