"""What the Makefile calls: the environment, the chapters, the site and the whole check."""
