"""The conversation as it runs: events in, commands out. No telephone, no database, no clock of its own."""
