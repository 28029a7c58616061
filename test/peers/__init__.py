"""Stand-ins for the services that a run talks to, for tests only."""
