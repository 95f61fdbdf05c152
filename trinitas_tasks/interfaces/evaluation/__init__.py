"""Measuring recall on anybody's own data, through a real stack that is there only for that."""
