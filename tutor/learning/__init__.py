"""What came of a conversation."""
