"""The bridge's benchmark: light callers and a light model; between them the service, or a relay that does nothing."""
