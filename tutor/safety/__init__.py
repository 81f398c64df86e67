"""What keeps callers safe: word lists, personal data, and what is done about what was said. Knows no telephone."""
