"""The guide in docs/learn, walked through on a throw-away cluster."""
