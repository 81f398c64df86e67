"""What the database is asked on the way of a call, in the night and by pages, with as many rows as the design wants."""
